"""What a finished model does on the command line; a module a command."""
