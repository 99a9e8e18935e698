"""What `import msseg` does, and what it does not."""

import subprocess
import sys

import pytest

import msseg

HEAVY = ('mindspore', 'cv2', 'matplotlib', 'numpy', 'yaml', 'PIL', 'msseg.apis', 'msseg.config')


def test_importing_msseg_imports_nothing_heavy_and_prints_nothing():
    code = 'import sys, msseg; sys.exit([m for m in sys.argv[1:] if m in sys.modules] or None)'
    run = subprocess.run([sys.executable, '-c', code, *HEAVY], capture_output=True, text=True)
    assert (run.returncode, run.stdout, run.stderr) == (0, '', '')


def test_listing_models_needs_no_framework():
    code = (
        "import sys, msseg; names = msseg.list_models('ocr*'); "
        "print(len(names), all(n.startswith('ocrnet_') for n in names), 'mindspore' in sys.modules)"
    )
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    count, *rest = run.stdout.split()
    assert int(count) >= 30 and rest == ['True', 'False']


def test_what_the_package_offers_is_in_its_list():
    assert set(msseg.__all__) <= set(dir(msseg))
    assert msseg.list_models('no_such_model') == []


def test_training_from_python_is_that_of_the_command_with_its_checks(tmp_path, monkeypatch):
    from msseg.checks.start import check_before_training

    calls = []
    monkeypatch.setattr('msseg.apis.train_from_config', lambda *a, **k: calls.append((a, k)))
    msseg.train('unet_nuclei', {'runner.max_iters': 3}, 'runs/first', seed=4)
    ((cfg, work_dir), options) = calls[0]
    assert (cfg.runner.max_iters, work_dir) == (3, 'runs/first')
    assert options == {'start_check': check_before_training, 'seed': 4}
    msseg.train(cfg, {'runner.max_iters': 5}, start_check=None)
    ((again, _), options) = calls[1]
    assert again.runner.max_iters == 5 and options == {'start_check': None}
    with pytest.raises(FileNotFoundError, match="Did you mean 'unet_nuclei'"):
        msseg.train('unet_nucleii')
