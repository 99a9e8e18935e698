"""What ``tools/benchmark.py`` measures: one module a subcommand, all as ratios."""
