"""Many runs under one protocol, each in a process of its own."""
