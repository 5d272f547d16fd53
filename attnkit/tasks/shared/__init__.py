"""What several tasks share: model directories, batches by length, search configuration, held-out data."""
