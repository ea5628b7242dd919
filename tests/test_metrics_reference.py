"Metrics against a reference, and identity: each reacts to what it claims, and not to what it does not"
from fractions import Fraction
from functools import lru_cache
from itertools import islice
import cv2, numpy as np, pytest, torch
from lipsync_kit.core import Audio, Face
from lipsync_kit.faces.detect import landmarks
from lipsync_kit.hub.cards import find
from lipsync_kit.media.read import read_frames, read_image
from lipsync_kit.faces import identity as faces_identity
from lipsync_kit.metrics import identity, reference
from lipsync_kit.metrics.metric import METRICS
from lipsync_kit.metrics.synthetic import talking_face
from lipsync_kit.metrics.clip import View, analyse
from lipsync_kit.motion.basis import data_file
from lipsync_kit.motion.track import MotionTrack
from lipsync_kit.nn.syncnet import SyncNet
from lipsync_kit.hub.weights import read_checkpoint

NEAR = 'psnr', 'ssim', 'ms_ssim', 'face_psnr', 'face_ssim'   # higher is better
LMD = 'lmd_mouth', 'lmd_face'

@lru_cache
def photo():
    image = read_image(data_file('astronaut.jpg'))[0]
    return image, landmarks(image)

def value(name, *changed, looked=True):
    "The metric of changed pictures (image, or image and points) against the photograph"
    image, face = photo()
    m = METRICS[name]()
    for i, c in enumerate(changed):
        c, p = c if isinstance(c, tuple) else (c, None)
        own = Face(p) if p is not None else landmarks(c) if looked and name in (*LMD, 'identity') else face
        m.see(View(float(i), c, own, twin=View(float(i), image, face)))
    return m.value(None)

def noisy(size):
    noise = np.random.default_rng(0).normal(0, size, photo()[0].shape)
    return np.clip(photo()[0] + noise, 0, 255).astype(np.uint8)

def moved(angle=0., scale=1., by=(0, 0)):
    image, face = photo()
    M = cv2.getRotationMatrix2D(tuple(map(float, face.points[4, :2])), angle, scale)
    M[:, 2] += by
    return cv2.warpAffine(image, M, image.shape[1::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)

def coded(quality):
    jpeg = cv2.imencode('.jpg', photo()[0], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(jpeg, cv2.IMREAD_COLOR)

@pytest.mark.parametrize('name', NEAR)
def test_noise_takes_it_down(name):
    same, little, much = (value(name, x).value for x in (photo()[0], noisy(4), noisy(16)))
    assert same == pytest.approx(100. if 'psnr' in name else 1.) and same > little > much

@pytest.mark.parametrize('name', ['psnr', 'ssim', 'face_psnr', 'face_ssim', 'lmd_face'])
def test_a_shift_counts(name):
    near, far = (value(name, moved(by=(d, 0))).value for d in (1, 8))
    assert near < far if name == 'lmd_face' else near > far

def test_the_lmd_of_the_mouth_knows_the_mouth_alone():
    image, face = photo()
    for head in (moved(by=(12, -7)), moved(angle=6), moved(scale=.9)):
        assert value('lmd_mouth', head).value < 3 < value('lmd_face', head).value
    lips = face.points.copy()
    lips[[13, 14, 17, 0, 84, 314], 1] += .3 * face.iod
    assert value('lmd_mouth', (image, lips)).value > 4
    brow = face.points.copy()
    brow[[70, 63, 105, 66, 107, 336, 296, 334, 293, 300], 1] -= .2 * face.iod
    assert value('lmd_mouth', (image, brow)).value == 0 and value('lmd_face', (image, brow)).value > .2

def test_what_has_no_twin_or_no_face_is_no_number():
    image, face = photo()
    for name in (*NEAR, *LMD):
        m = METRICS[name]()
        m.see(View(0., image, face))
        assert m.value(None).value is None
    for name in LMD:
        m = METRICS[name]()
        m.see(View(0., image, None, twin=View(0., image, face)))
        assert 'a face' in m.value(None).note

def test_the_held_frame_begins_anew_at_a_cut():
    image, face = photo()
    def still(cut):
        m = reference.Psnr()
        for i in range(4):
            x = image if i < 2 else 255 - image
            m.see(View(float(i), x, face, cut=cut and i == 2, twin=View(float(i), x, face)))
        return m.value(None).baselines['still']
    assert still(True) == 100 > still(False)

def test_real_videos(tmp_path):
    "A late mouth is farther from the reference, and a held frame farther than the same video coded again"
    n, sound = 38, Audio(np.zeros(24000, np.float32), 16000)
    opening = .12 - .12 * np.cos(2 * np.pi * 2 * np.arange(n) / 25)
    wave = MotionTrack(Fraction(25), np.zeros((n, 6)), np.zeros((n, 52)), opening)
    for name, how in dict(real={}, coded=dict(crf=30), late=dict(lag=.16)).items():
        talking_face(tmp_path/f'{name}.mp4', sound, track=wave, **how)
    def all_of(name):
        kinds = [METRICS[n]() for n in (*NEAR, *LMD)]
        clip = analyse(tmp_path/f'{name}.mp4', kinds, tmp_path/'real.mp4')
        return {k.name: k.value(clip) for k in kinds}
    again, late = all_of('coded'), all_of('late')
    assert again['lmd_mouth'].value < late['lmd_mouth'].value
    assert again['lmd_mouth'].value < again['lmd_mouth'].baselines['still']
    assert again['face_psnr'].value > 30 and again['face_ssim'].value > again['face_ssim'].baselines['still']
    assert all(v.low is None or v.low <= v.value <= v.high for v in again.values())

def test_lpips_is_torchmetrics(monkeypatch):
    "The same layers and heads give what torchmetrics gives; only the layers come from elsewhere"
    from torchmetrics.functional.image import lpips
    torch.manual_seed(1)
    layers = reference.alexnet_layers()
    monkeypatch.setattr(lpips, '_get_tv_model_features', lambda *a, **k: layers)
    theirs, heads = lpips._LPIPS(net='alex'), read_checkpoint(find('lpips'))
    ours = reference.Perceptual(layers, [heads[f'lin{i}.model.1.weight'] for i in range(5)])
    a, b = photo()[0], noisy(16)
    as_x = lambda x: torch.tensor(x).permute(2, 0, 1)[None] / 255
    assert ours(a, b) == pytest.approx(float(theirs(as_x(a), as_x(b), normalize=True)), rel=1e-4) and ours(a, a) == 0

def test_lpips_from_files(tmp_path, monkeypatch):
    monkeypatch.setenv('LIPSYNC_KIT_HOME', str(tmp_path))
    assert 'lipsync models download alexnet' in reference.Lpips.lacks()
    torch.manual_seed(1)
    layers = reference.alexnet_layers()
    named = {f'features.{k}': v for k, v in layers.state_dict().items()}   # as in the published file
    torch.save({**named, 'classifier.6.bias': torch.zeros(1000)}, tmp_path/'alexnet.pth')
    monkeypatch.setattr(reference, 'find', lambda name: tmp_path/'alexnet.pth' if name == 'alexnet' else find(name))
    assert 0 == value('lpips', photo()[0]).value < value('lpips', noisy(4)).value < value('lpips', noisy(16)).value

def test_fid_says_what_is_missing(monkeypatch):
    monkeypatch.setattr(reference, 'find_spec', lambda name: None)
    assert 'torch_fidelity and torchvision are not installed; pip install torch-fidelity' in reference.Fid.lacks()
    monkeypatch.setattr(reference, 'find_spec', lambda name: True)
    monkeypatch.setenv('LIPSYNC_KIT_HOME', '/nowhere')
    assert 'lipsync models download inception_fid' in reference.Fid.lacks()

def test_mouths_in_motion_by_syncnet(tmp_path, monkeypatch):
    "An untrained SyncNet from a file finds a video equal to itself, and another one different"
    torch.manual_seed(0)
    torch.save(SyncNet().state_dict(), tmp_path/'syncnet.pth')
    monkeypatch.setattr(reference, 'find', lambda name: tmp_path/'syncnet.pth')
    image, face = photo()
    def of(change):
        m = reference.MotionFrechet()
        m.every = .04
        for i in range(6): m.see(View(i / 25, change(image, i), face, twin=View(i / 25, image, face)))
        return m.value(None)
    assert of(lambda x, i: x).value == pytest.approx(0, abs=1e-3)
    assert of(lambda x, i: np.roll(255 - x, 3 * i, axis=0)).value > .01
    monkeypatch.setenv('LIPSYNC_KIT_HOME', '/nowhere')
    assert 'lipsync models download syncnet_v2' in reference.MotionFrechet.lacks()

# identity

@pytest.fixture
def by_dlib(monkeypatch):
    if not faces_identity.EMBEDDERS[2].there: pytest.skip("dlib is not there: pip install 'lipsync_kit[metrics]'")
    monkeypatch.setattr(faces_identity, 'EMBEDDERS', faces_identity.EMBEDDERS[2:])

def test_identity_is_not_about_the_picture(by_dlib):
    dark = (photo()[0] * .7).astype(np.uint8)
    for x in (coded(30), moved(angle=10), moved(scale=.7), dark): assert value('identity', x).value > .95

def faces(path, at):
    "The faces of some frames of a clip, as views"
    for i, frame in enumerate(islice(read_frames(path), max(at) + 1)):
        if i in at: yield View(float(frame.time), frame.image, landmarks(frame.image))

def test_identity_tells_people_apart(media, by_dlib):
    names = 'hdtf_radio4.mp4', 'hdtf_aoc.mp4', 'grid_lwbsza.mpg', 'portrait_kitchen_man.mp4'
    seen = {n: list(faces(media/'clips'/n, (0, 60))) for n in names}
    def likeness(a, b):
        m = identity.Identity()
        for i, (v, w) in enumerate(zip(seen[a], reversed(seen[b]))): m.see(View(float(i), v.image, v.face, twin=w))
        return m.value(None).value
    own, other = [likeness(a, a) for a in names], [likeness(a, b) for a in names for b in names if a < b]
    assert min(own) > .95 > .9 > max(other)

def test_drift_is_about_the_person(media, by_dlib):
    "Two people mixed more and more, and one who speaks"
    clip = list(faces(media/'clips'/'hdtf_radio4.mp4', range(0, 60, 6)))
    def drift(views):
        m = identity.IdentityDrift()
        for i, v in enumerate(views): m.see(View(i / 5, v.image, v.face))
        return m.value(None).value
    them, _ = photo()
    a = faces_identity.chip(them, faces_identity.arc_points(photo()[1].points), 2 * faces_identity.ARC, 224)
    b = faces_identity.chip(clip[0].image, faces_identity.arc_points(clip[0].face.points), 2 * faces_identity.ARC, 224)
    mixed = [np.uint8((1 - k) * a + k * b) for k in np.linspace(0, 1, 10)]
    speaking, turning = drift(clip), drift([View(0., x, landmarks(x)) for x in mixed])
    assert abs(speaking) < .02 and turning < -.03

def test_the_best_embedder_that_is_there(tmp_path, monkeypatch):
    monkeypatch.setenv('LIPSYNC_KIT_HOME', str(tmp_path))
    for e in reversed(faces_identity.EMBEDDERS[:2]):
        assert not e.there
        (tmp_path/e.card).mkdir()
        (tmp_path/e.card/e.file).write_bytes(b'\x80')
        assert faces_identity.embedder() is e
    monkeypatch.setattr(faces_identity, 'EMBEDDERS', ())
    assert "pip install 'lipsync_kit[metrics]'" in identity.Identity.lacks() == identity.IdentityDrift.lacks()

def test_networks_see_colours_as_they_were_taught(tmp_path):
    "A network that gives the mean of each channel: red first, in -1..1 for ArcFace and 0..255 for SFace"
    from onnx import TensorProto, helper as h, save
    box = lambda name, shape: h.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    nodes = [h.make_node('GlobalAveragePool', ['data'], ['mean']), h.make_node('Flatten', ['mean'], ['fc1'])]
    graph = h.make_graph(nodes, 'means', [box('data', [1, 3, 112, 112])], [box('fc1', [1, 3])])
    save(h.make_model(graph, opset_imports=[h.make_opsetid('', 12)], ir_version=8), path := tmp_path/'means.onnx')
    chip = np.zeros((112, 112, 3), np.uint8) + np.uint8([255, 51, 0])
    assert faces_identity.load_arcface(path)(chip) == pytest.approx([1, -.6, -1], abs=1e-4)
    assert faces_identity.load_sface(path)(chip) == pytest.approx([255, 51, 0], abs=1e-3)

def test_one_face_is_embedded_once(by_dlib, monkeypatch):
    image, face = photo()
    calls = []
    monkeypatch.setattr(identity, 'embed', lambda *a: calls.append(1) or np.array([1., 0.]))
    kinds = [identity.Identity(), identity.IdentityDrift()]
    for i in range(50):
        v = View(i / 25, image, face, twin=View(i / 25, image, face))
        for m in kinds: m.see(v)
    assert len(calls) == 21     # ten moments, two faces each, and the held one
    assert kinds[1].value(None).value == pytest.approx(0)

def test_a_clip_too_short_or_empty_has_no_drift(by_dlib):
    m = identity.IdentityDrift()
    assert m.value(None).value is None
    m.see(View(0., *photo()))
    assert '1.5 s' in m.value(None).note
