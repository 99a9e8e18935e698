"""Do what ``msseg analyze`` does."""

from msseg.commands.analyze_logs import main
from msseg.utils.cli import run_main

if __name__ == '__main__':
    run_main(main)
