"""The task "summarize": a few sentences about each document, by models that come from elsewhere."""
