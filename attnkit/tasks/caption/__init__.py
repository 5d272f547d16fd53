"""The task "caption": images in, sentences out."""
