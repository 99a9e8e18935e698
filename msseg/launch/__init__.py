"""Several processes: starting, watching and reporting on them."""
