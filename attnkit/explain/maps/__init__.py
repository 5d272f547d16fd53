"""All attention of one run of a model: kinds of weights by name, to look at, to choose from and to draw."""
