"""What text and images have in common as data: lines of files, and the order of examples."""
