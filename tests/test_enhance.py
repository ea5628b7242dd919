"Faces restored: from the command line, in a stream, with a network that stands in, and without what is missing."
import json
from fractions import Fraction
from importlib import import_module
from importlib.util import find_spec
import cv2, numpy as np, pytest, torch
from skimage import data
from lipsync_kit.core import Frame, KitError
from lipsync_kit.effects.effect import EffectContext, parse_effects
from lipsync_kit.effects.enhance import Enhance, EnhanceSettings
from lipsync_kit.faces.detect import landmarks
from lipsync_kit.faces.masks import area_mask, rect_of
from lipsync_kit.media.read import read_frames
from lipsync_kit.media.write import Writer
from lipsync_kit.nn.rrdb import CompactNet, RRDBNet
from lipsync_kit.pipe.run import process

@pytest.fixture(scope='module')
def photo(): return data.astronaut()

@pytest.fixture(scope='module')
def face(photo): return landmarks(photo)

@pytest.fixture
def own_network(tmp_path):
    "A network of Real-ESRGAN's layout that was never trained, as torch keeps it"
    torch.manual_seed(0)
    path = tmp_path/'own.pth'
    torch.save({'params_ema': RRDBNet(blocks=1, channels=8, grow=4).state_dict()}, path)
    return path

def noisy_film(path, photo, n=12):
    rng = np.random.default_rng(0)
    with Writer(path, 512, 512, 25, crf=4) as w:
        for _ in range(n): w.write(np.clip(photo + rng.normal(0, 6, photo.shape), 0, 255).astype(np.uint8))
    return path

def test_words_name_the_restorer_first():
    call, = parse_effects('enhance:filter,strength=.7,where=mouth')
    assert call.settings == dict(model='filter', strength=.7, where='mouth') and call.weights == ()

def test_nothing_outside_the_part_changes(photo, face):
    for where in ('mouth', 'eyes', 'lower_face', 'face', 'box'):
        done = Enhance(EnhanceSettings(model='filter', where=where, details=1)).draw(photo, [face], Fraction(0))
        outside = np.ones((512, 512), bool)
        x0, y0, x1, y1 = rect_of(face, where, (512, 512))
        outside[y0:y1, x0:x1] = False
        assert (done != photo).any() and not (done[outside] != photo[outside]).any(), where

def test_a_correction_is_steady(photo, face):
    rng = np.random.default_rng(1)
    frames = [(Frame(np.clip(photo + rng.normal(0, 5, photo.shape), 0, 255).astype(np.uint8), Fraction(i, 25)), [face]) for i in range(10)]
    rect = rect_of(face, 'face', (512, 512))
    inner = area_mask(face, 'face', rect) > .99
    def flicker(steady):
        done = Enhance(EnhanceSettings(model='filter', sharpen=2, strength=1, steady=steady)).apply(iter(frames), EffectContext(None))
        added = [f.part(rect).astype(float) - g.part(rect) for (f, _), (g, _) in zip(done, frames)]
        return np.mean([np.abs(b - a)[inner].mean() for a, b in zip(added[4:], added[5:])])
    assert flicker(.8) < .6 * flicker(0)

def test_a_video_in_parts_is_the_same(photo, face, own_network):
    "A part that is drawn by itself begins without memory, as it does in one run"
    frames = [(Frame(photo, Fraction(i)), [face]) for i in range(8, 13)]
    settings = EnhanceSettings(weights=str(own_network), where='mouth')
    whole = [f.image for f, _ in Enhance(settings).apply(iter(frames), EffectContext(None))]
    late = [(f._replace(image=None), faces) if f.time < 10 else (f, faces) for f, faces in frames]
    again = [f.image for f, _ in Enhance(settings).apply(iter(late), EffectContext(None)) if f.pixels is not None]
    assert all((a == b).all() for a, b in zip(whole[2:], again))

def test_several_faces_and_sizes(photo, face, own_network):
    two = np.hstack([photo, cv2.resize(photo, (256, 512))])
    small = type(face)(face.points * [.5, 1, 1] + [512, 0, 0], face.pose, id=1)
    done = Enhance(EnhanceSettings(weights=str(own_network), where='mouth')).draw(two, [face, small], Fraction(0))
    for f in (face, small):
        x0, y0, x1, y1 = rect_of(f, 'mouth', (768, 512))
        assert (done[y0:y1, x0:x1] != two[y0:y1, x0:x1]).any()

def test_pictures_and_videos(photo, tmp_path):
    cv2.imwrite(str(tmp_path/'a.png'), photo[..., ::-1])
    r = process(tmp_path/'a.png', 'enhance:filter,details=1', tmp_path/'b.png')
    assert r.faces == 1 and (cv2.imread(str(tmp_path/'b.png'))[..., ::-1] != photo).any()
    r = process(noisy_film(tmp_path/'a.mp4', photo), 'enhance:filter', tmp_path/'b.mp4')
    assert r.n_frames == 12 == sum(1 for _ in read_frames(tmp_path/'b.mp4'))

def test_whole_frames_need_no_face(own_network, tmp_path):
    grey = np.tile(np.linspace(40, 200, 96).astype(np.uint8)[:, None, None], (1, 160, 3))
    with Writer(tmp_path/'a.mp4', 160, 96, 12) as w:
        for _ in range(5): w.write(grey)
    r = process(tmp_path/'a.mp4', [dict(name='enhance', where='frame', weights=str(own_network))], tmp_path/'b.mp4')
    shown = [f.image for f in read_frames(tmp_path/'b.mp4')]
    assert r.n_frames == len(shown) == 5 and shown[0].shape == (96, 160, 3)
    assert not any('face' in w for w in r.warnings)

def test_a_frame_without_a_face_passes(tmp_path):
    grey = np.full((128, 128, 3), 90, np.uint8)
    assert (Enhance(EnhanceSettings(model='filter')).draw(grey, [], Fraction(0)) == grey).all()

def test_what_is_missing_is_said_before_anything_is_read(tmp_path, monkeypatch):
    monkeypatch.setenv('LIPSYNC_KIT_HOME', str(tmp_path/'none'))
    for name in ('gfpgan', 'codeformer', 'realesrgan'):
        with pytest.raises(KitError, match='lipsync models download'): Enhance(EnhanceSettings(model=name))
        with pytest.raises(KitError, match='lipsync models download'): process(tmp_path/'absent.mp4', f'enhance:{name}')
    with pytest.raises(KitError, match='no weights file'): process(tmp_path/'absent.mp4', 'enhance:weights=no.pth')

def test_weights_of_ones_own_are_no_commercial_licence(own_network, tmp_path):
    with pytest.raises(KitError, match='commercial'):
        process(tmp_path/'absent.png', f'enhance:weights={own_network}', policy='commercial')

def test_the_compact_network_too(tmp_path, photo, face):
    path = tmp_path/'drawing.pth'
    torch.save({'params': CompactNet(8, 1).state_dict()}, path)
    done = Enhance(EnhanceSettings(weights=str(path), where='mouth')).draw(photo, [face], Fraction(0))
    assert done.shape == photo.shape

def test_command(photo, tmp_path, capsys):
    from lipsync_kit.cli.main import run
    cv2.imwrite(str(tmp_path/'a.png'), photo[..., ::-1])
    assert run(['enhance', str(tmp_path/'a.png'), '--model', 'filter', '--where', 'mouth', '-o', str(tmp_path/'b.png'), '--json']) in (0, None)
    assert json.loads(capsys.readouterr().out)['path'].endswith('b.png')
    assert run(['enhance', str(tmp_path/'a.png'), '--model', 'filtr', '-o', str(tmp_path/'c.png')]) == 2

def test_codeformer_from_the_extra_architectures(tmp_path):
    "Weights that its own architecture writes, untrained, come back to the bit"
    lacks = [p for p in ('spandrel', 'spandrel_extra_arches') if not find_spec(p)]
    if lacks: pytest.skip(f'not installed: {", ".join(lacks)}')
    from lipsync_kit.nn.face_restorer import load_face_restorer, spandrel, torchvision_stand_in
    spandrel()
    with torchvision_stand_in(): arch = import_module('spandrel_extra_arches.architectures.CodeFormer.__arch.codeformer')
    torch.manual_seed(0)
    net, x = arch.CodeFormer().eval(), np.random.default_rng(0).integers(0, 255, (1, 512, 512, 3)).astype(np.uint8)
    torch.save({'params_ema': net.state_dict()}, tmp_path/'codeformer.pth')
    restorer = load_face_restorer(tmp_path/'codeformer.pth', 'cpu', fidelity=.5)
    assert restorer.kind == 'CodeFormer' and not find_spec('torchvision')
    got = restorer.batch(x)[0]
    with torch.inference_mode(): y = net(torch.from_numpy(x[0].astype(np.float32) / 255).permute(2, 0, 1)[None] * 2 - 1, weight=.5)[0]
    np.testing.assert_allclose(got, ((y[0] / 2 + .5).clamp(0, 1) * 255).permute(1, 2, 0).numpy(), atol=.01)
    restorer.fidelity = 1.
    assert np.abs(restorer.batch(x)[0] - got).mean() > 1       # the dial turns something
