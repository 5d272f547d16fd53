"""The command line of attnkit: each file parses one command's arguments, calls the library and prints."""
