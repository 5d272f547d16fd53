"""What attnkit can be trained for, a folder a task: configuration, training, and the class that serves its models."""
