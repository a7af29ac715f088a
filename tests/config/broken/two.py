from siploadgen.model.python import call


@call()
def one(c):
    c.options()
    c.expect(200)


@call()
def two(c):
    c.options()
    c.expect(200)
