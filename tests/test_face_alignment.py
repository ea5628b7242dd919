"The package face-alignment as a detector, on synthetic weights of S3FD's layout: its boxes are those of our own S3FD on the colours in its order."
import numpy as np, pytest, torch
pytest.importorskip('face_alignment', reason='the package face-alignment is not installed')
from golden import checkpoint
from lipsync_kit.core import KitError
from lipsync_kit.faces.detectors.card import DETECTORS
from lipsync_kit.faces.detectors.face_alignment import FILE, load_face_alignment
from lipsync_kit.faces.s3fd import load_s3fd

@pytest.fixture
def kept(tmp_path, monkeypatch):
    "Where the package looks for its weights"
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    path = tmp_path/'hub'/'checkpoints'/FILE
    path.parent.mkdir(parents=True)
    return path

def test_same_boxes_as_ours(kept, tmp_path):
    checkpoint('s3fd', tmp_path, 3).rename(kept)
    image = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    theirs = load_face_alignment('cpu').detector(image)
    ours = load_s3fd(kept, 'cpu')(image[..., ::-1])     # the package gives its network BGR, ours RGB as Wav2Lip does
    assert len(theirs) == len(ours) > 0
    for a, b in zip(theirs, ours): assert np.abs(a.box - b[:4]).max() < 1e-2 and abs(a.score - b[4]) < 1e-4

def test_damaged_weights(kept):
    for bad in b'', b'half a file':
        kept.write_bytes(bad)
        with pytest.raises(KitError, match=FILE): load_face_alignment('cpu')
    torch.save({'conv.weight': torch.ones(3)}, kept)
    with pytest.raises(KitError, match="not S3FD's weights"): load_face_alignment('cpu')

def test_it_is_a_choice(): assert DETECTORS.get('face-alignment').weights[0] == 's3fd'
