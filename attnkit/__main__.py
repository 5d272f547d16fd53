"""`python -m attnkit`: the command `attnkit`, where its script is not on the PATH."""

from importlib import import_module

if __name__ == "__main__":
    # By name: the package is installed from the folder cli/, which no checker finds under attnkit/.
    import_module("attnkit.cli.main").main("python -m attnkit")
