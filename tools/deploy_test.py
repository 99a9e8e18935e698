"""Do what ``msseg deploy-test`` does."""

from msseg.commands.deploy_test import main
from msseg.utils.cli import run_main

if __name__ == '__main__':
    run_main(main)
