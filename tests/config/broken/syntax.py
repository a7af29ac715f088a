from siploadgen.model.python import call


@call()
def basic(c)
    c.invite()
