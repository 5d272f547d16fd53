"""Models by name: what a name means, where a model of that name is, and how it comes here."""
