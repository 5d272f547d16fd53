"""Models by name: where they are published, how they are fetched, where they are kept."""
