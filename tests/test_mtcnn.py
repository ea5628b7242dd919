"MTCNN with its published weights, where they are at hand: folder $LIPSYNC_KIT_HOME/mtcnn, or the installed wheel of facenet-pytorch."
import cv2, numpy as np, pytest
from pathlib import Path
from lipsync_kit.faces.detect import detect_faces
from lipsync_kit.faces.detectors.scrfd import BoxedFaces
from lipsync_kit.faces.mtcnn import Mtcnn
from lipsync_kit.faces.onnx_faces import arc_points
from lipsync_kit.hub.cards import cards, models_folder, status

@pytest.fixture(scope='module')
def mtcnn():
    known = 'mtcnn' in {c.name for c in cards()}
    path = status('mtcnn').path if known else models_folder()/'mtcnn'
    if path is None or not (Path(path)/'onet.pt').is_file(): pytest.skip('the files of MTCNN are not on this machine: lipsync models download mtcnn')
    return Mtcnn(path)

def test_where_the_landmarker_finds_them(mtcnn):
    from skimage import data
    photo = data.astronaut()
    two = np.concatenate([np.pad(cv2.resize(photo, (400, 400)), ((112, 0), (0, 0), (0, 0))), photo], 1)
    faces, found = detect_faces(two, None), [d for d in mtcnn(two) if d.score > .95]
    assert len(faces) == len(found) == 2
    for f in faces: assert min(np.abs(d.points - arc_points(f.points)).mean() for d in found) < .08 * f.iod
    assert [round(f.iod) for f in BoxedFaces(mtcnn)(two, None)] == pytest.approx([f.iod for f in faces], abs=2)

def test_nothing(mtcnn): assert mtcnn(np.full((90, 120, 3), 127, np.uint8)) == [] and mtcnn(np.zeros((8, 8, 3), np.uint8)) == []
