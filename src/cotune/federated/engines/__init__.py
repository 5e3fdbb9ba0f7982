"""Ways to run both apps on this machine: in this process, or in a simulation."""
