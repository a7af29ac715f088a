"""Call models: the tree of a scenario and the front ends that fill it."""

from siploadgen.model.errors import ModelError
from siploadgen.model.python import CallModel, answer, call, load_models
from siploadgen.model.settings import Setting
from siploadgen.model.values import exponential, fixed, lognormal, normal, uniform

__all__ = ["CallModel", "ModelError", "Setting", "answer", "call", "exponential", "fixed",
           "load_models", "lognormal", "normal", "uniform"]
