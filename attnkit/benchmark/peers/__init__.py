"""The libraries that attnkit is measured beside: their models and their workers."""
