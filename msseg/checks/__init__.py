"""What can be wrong with a config or a data set: the two doctors, and the check before a run."""
