"""Small things shared by all rooms: logging, files, suggestions, processes, devices."""
