"Our way into and out of InsightFace's networks gives what their package gives, on networks of the same shapes with random weights."
import contextlib, io
import cv2, numpy as np, pytest
insightface = pytest.importorskip('insightface', reason='the package insightface is not installed')
pytest.importorskip('onnx', reason='the package onnx is not installed')
from insightface.app import FaceAnalysis
from onnx_faces import buffalo, pooled, swapper
from lipsync_kit.faces.onnx_faces import Attributes, FaceVector, Landmarks, OnnxNetwork, arc_transform, kind_of
from lipsync_kit.faces.scrfd import Scrfd

CPU = ['CPUExecutionProvider']

@pytest.fixture(scope='module')
def folder(tmp_path_factory): return buffalo(tmp_path_factory.mktemp('buffalo_l'))

@pytest.fixture(scope='module')
def pictures():
    from skimage import data
    noise = np.random.default_rng(0).integers(0, 256, (270, 480, 3), np.uint8)
    return [data.astronaut(), cv2.resize(data.astronaut(), (333, 480)), cv2.GaussianBlur(noise, (0, 0), 3)]

def theirs(folder, size=320):
    app = FaceAnalysis(name=str(folder), providers=CPU)
    app.prepare(ctx_id=-1, det_size=(size, size))
    return app

def test_kinds(folder, tmp_path):
    kinds = {p.name: kind_of(OnnxNetwork(p, 'cpu')) for p in folder.iterdir()}
    assert kinds == {'det_10g.onnx': 'detector', '2d106det.onnx': 'landmarks', '1k3d68.onnx': 'landmarks', 'genderage.onnx': 'attributes', 'w600k_r50.onnx': 'vector'}
    assert kind_of(OnnxNetwork(swapper(tmp_path/'inswapper_128.onnx'), 'cpu')) == 'swapper'

@pytest.mark.parametrize('size', [320, 640])
def test_detector(folder, pictures, size):
    app, ours = theirs(folder, size), Scrfd(OnnxNetwork(folder/'det_10g.onnx', 'cpu'), size)
    for picture in pictures:
        boxes, points = app.det_model.detect(picture[..., ::-1])
        got = ours(picture)
        assert len(got) == len(boxes) > 2
        np.testing.assert_allclose([[*d.box, d.score] for d in got], boxes, atol=2e-3)
        np.testing.assert_allclose([d.points for d in got], points, atol=2e-3)

def test_everything_about_a_face(folder, pictures):
    app = theirs(folder)
    flat, deep = (Landmarks(OnnxNetwork(folder/n, 'cpu')) for n in ('2d106det.onnx', '1k3d68.onnx'))
    people, vector = Attributes(OnnxNetwork(folder/'genderage.onnx', 'cpu')), FaceVector(OnnxNetwork(folder/'w600k_r50.onnx', 'cpu'))
    seen = set()
    for picture in pictures:
        for face in app.get(picture[..., ::-1])[:8]:
            np.testing.assert_allclose(flat(picture, face.bbox), face.landmark_2d_106, atol=.02)
            np.testing.assert_allclose(deep(picture, face.bbox), face.landmark_3d_68, atol=.02)
            guess = people(picture, face.bbox)
            assert (guess.age, guess.gender) == (face.age, 'male' if face.gender == 1 else 'female')
            np.testing.assert_allclose(vector(picture, face.kps), face.embedding, atol=2e-3)
            seen.add(guess)
    assert len(seen) > 3

def test_alignment():
    from insightface.utils import face_align
    rng = np.random.default_rng(1)
    for size in 112, 128, 224, 256:
        points = (rng.random((5, 2)) * 200).astype(np.float32)
        np.testing.assert_allclose(arc_transform(points, size), face_align.estimate_norm(points, size), atol=1e-4)

@pytest.mark.parametrize('scaled', [False, True])
def test_where_a_graph_scales_by_itself(tmp_path, scaled):
    from insightface.model_zoo.arcface_onnx import ArcFaceONNX
    path = pooled(tmp_path/'v.onnx', 112, 16, 512, 5, scaled)
    image = np.random.default_rng(0).integers(0, 256, (112, 112, 3), np.uint8)
    np.testing.assert_allclose(FaceVector(OnnxNetwork(path, 'cpu')).of_crops(image), ArcFaceONNX(str(path)).get_feat(image[..., ::-1]), rtol=1e-4, atol=1e-4)
