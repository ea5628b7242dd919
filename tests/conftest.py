"What several tests share: the media beside the project, and a quiet machine"
import os, tempfile
from pathlib import Path
import pytest

ROOT = Path(__file__).parent.parent
MEDIA = Path(os.environ.get('LIPSYNC_MEDIA', ROOT.parent/'shared'/'media'))
os.environ.setdefault('OMP_NUM_THREADS', '1')
os.environ.setdefault('LIPSYNC_KIT_SPEEDS', 'off')   # runs of tests are no measure of this machine
os.environ.setdefault('LIPSYNC_KIT_VOICE', 'hibari')  # the same everywhere, whatever voices lie on the machine
os.environ.setdefault('MPLBACKEND', 'agg')
os.environ.setdefault('LIPSYNC_KIT_LEDGER', 'off')   # what tests make is in nobody's list
_config = tempfile.TemporaryDirectory()
os.environ.setdefault('LIPSYNC_KIT_CONFIG', _config.name)   # nor is it signed with the user's certificate

@pytest.fixture(scope='session')
def media():
    if not (MEDIA/'manifest.json').exists(): pytest.skip(f'no media at {MEDIA}; set LIPSYNC_MEDIA to a folder with manifest.json')
    return MEDIA

# what takes most of the time: files by name, pages by place; `make test-fast` leaves it out
SLOW = ('latent_models metrics dub fuzz golden_run batch avatar faces app hub sound plugin cover gaussian metrics_reference '
        'portrait animated space jupyterlab framing metrics_sync faults golden_musetalk motion_fit train train_data webrtc').split()
SLOW_PAGES = 'tutorials/', 'howto/01', 'hub/', 'onnx_export', 'personal/03'

def pytest_collection_modifyitems(items):
    for item in items:
        page = 'test_notebook[' in item.name and any(p in item.name for p in SLOW_PAGES)
        if page or item.path.stem.removeprefix('test_') in SLOW: item.add_marker(pytest.mark.slow)
