"""The tour of `./dev demo`: python -m attnkit.demo."""
