"""Do what ``msseg predict`` does."""

from msseg.commands.predict import main
from msseg.utils.cli import run_main

if __name__ == '__main__':
    run_main(main)
