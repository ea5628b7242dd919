"What several tests share: the media beside the project, and a quiet machine"
import os
from pathlib import Path
import pytest

ROOT = Path(__file__).parent.parent
MEDIA = Path(os.environ.get('LIPSYNC_MEDIA', ROOT.parent/'shared'/'media'))
os.environ.setdefault('OMP_NUM_THREADS', '1')
os.environ.setdefault('LIPSYNC_KIT_SPEEDS', 'off')   # runs of tests are no measure of this machine
os.environ.setdefault('MPLBACKEND', 'agg')

@pytest.fixture(scope='session')
def media():
    if not (MEDIA/'manifest.json').exists(): pytest.skip(f'no media at {MEDIA}; set LIPSYNC_MEDIA to a folder with manifest.json')
    return MEDIA
