"""`python -m attnkit`: the command `attnkit`, where its script is not on the PATH."""

from attnkit.cli.main import main

if __name__ == "__main__":
    main("python -m attnkit")
