"""MuseTalk and LatentSync through the whole pipeline: files of small networks with random weights, read by the loaders
of the published ones. The mouths are noise; everything around them is real."""
import subprocess, sys, time, weakref
from fractions import Fraction
import numpy as np, pytest, torch
from lipsync_kit import KitError, lipsync, stream
from lipsync_kit.models.contract import DrivingSignal, RenderRequest, is_available, load_model
from lipsync_kit.core import Audio, Clip, Frame
from lipsync_kit.faces.detect import landmarks
from lipsync_kit.media.write import Writer
from lipsync_kit.media.probe import probe
from lipsync_kit.media.read import read_audio, read_frames
from lipsync_kit.models.latentsync import model as latentsync
from lipsync_kit.models.latentsync.unet import UNet3D
from lipsync_kit.models.musetalk import model as musetalk
from lipsync_kit.models.musetalk.unet import unet
from lipsync_kit.nn.vae import vae
from lipsync_kit.nn.offload import OffloadedModule
from lipsync_kit.nn.whisper import encoder_network
from lipsync_kit.pipe import run
from lipsync_kit.pipe.options import make_options
from lipsync_kit.live.session import Live
from lipsync_kit.media.resume import ResumableWriter
from test_dub import picture, tone

pytest.importorskip('diffusers')
pytest.importorskip('transformers')
NTSC, RATE, SMALL = Fraction(30000, 1001), 16000, (32, 32, 32, 32)
MODELS = 'musetalk-1.5', 'latentsync-1.5'
FEW = {'musetalk-1.5': {}, 'latentsync-1.5': dict(steps=1)}   # options that keep a test short

@pytest.fixture(scope='module')
def files(tmp_path_factory):
    "Name in the hub -> file of a small network"
    folder, res = tmp_path_factory.mktemp('weights'), {}
    torch.manual_seed(0)
    audio_encoder = {f'model.encoder.{k}': v for k, v in encoder_network(384, 4, 64).state_dict().items()}
    networks = {MODELS[:1]: unet(SMALL), MODELS[1:]: UNet3D(SMALL), ('sd-vae-ft-mse',): vae((32,) * 4, 1)}
    tensors = {names: net.state_dict() for names, net in networks.items()}
    for names, weights in (tensors | {('whisper-tiny', 'whisper-tiny-hf'): audio_encoder}).items():
        torch.save(weights, folder/f'{names[0]}.pth')
        res |= dict.fromkeys(names, folder/f'{names[0]}.pth')
    return res

class Skin:
    "A parser that labels everything as skin"
    def __call__(self, image): return np.ones((512, 512), np.uint8)

class Mirror:
    "An autoencoder whose latents are pictures at an eighth of the size"
    def encode(self, x, noise=None): return torch.nn.functional.avg_pool2d(torch.cat([x, x[:, :1]], 1).float(), 8)
    def decode(self, z): return z[:, :3].repeat_interleave(8, 2).repeat_interleave(8, 3)

@pytest.fixture(autouse=True)
def small(files, monkeypatch, request):
    "The hub has small networks; the autoencoder is a stand-in, except with the fixture `coder`"
    from lipsync_kit.hub import memory as manager
    manager.manager.cleanup()
    if 'coder' not in request.fixturenames:
        monkeypatch.setitem(manager.BUILDERS, 'sd-vae-ft-mse', lambda path, device: Mirror())
    monkeypatch.setattr(manager, 'find', lambda name, folder=None: files[name])
    monkeypatch.setitem(manager.BUILDERS, 'face-parse', lambda path, device: Skin())
    monkeypatch.setitem(files, 'face-parse', files['whisper-tiny'])
    monkeypatch.setitem(latentsync.SIZES, 'latentsync-1.5', 64)
    torch.manual_seed(0)

@pytest.fixture
def coder():
    "The autoencoder is a network too"

def film(path, n=12, fps=25, faceless=(), side=256, faces=1):
    with Writer(path, side * faces, side, fps, crf=6) as w:
        for i in range(n):
            image = np.full((side, side, 3), 90, np.uint8) if i in faceless else picture(i, side)
            w.write(np.hstack([image] * faces))
    return path

def images(path): return [f.image for f in read_frames(path)]
def same(a, b): return len(a) == len(b) and all(map(np.array_equal, a, b))
def changed(a, b): return np.abs(a.astype(int) - b).mean()

@pytest.mark.parametrize('model', MODELS)
def test_the_frame_rate_stays_and_faceless_frames_pass(tmp_path, model):
    source = film(tmp_path/'a.mp4', 36, NTSC, faceless=range(12, 20))
    r = lipsync(source, tone(1.2), out=tmp_path/'b.mp4', model=model, crf=4, **FEW[model])
    assert r.fps == probe(r.path).fps == NTSC and r.n_frames == 36 and abs(read_audio(r.path).duration - 1.2) < .06
    assert [f.time for f in read_frames(r.path)] == [f.time for f in read_frames(source)]
    off = [changed(a, b) for a, b in zip(images(source), images(r.path))]
    assert max(off[12:20]) < 1.5 < 2 < np.mean(off[:12]) and r.gaps and .3 < r.gaps[0][0] < .5

@pytest.mark.parametrize('model', MODELS)
def test_each_face_has_its_voice_and_the_others_stay(tmp_path, model):
    source = film(tmp_path/'two.mp4', 8, faces=2)
    r = lipsync(source, {1: tone(.32)}, out=tmp_path/'b.mp4', model=model, crf=4, mark='tag', **FEW[model])
    a, b = images(source)[4], images(r.path)[4]
    assert r.faces == 2 and changed(a[:, :256], b[:, :256]) < 1.5 < 2 < changed(a[:, 256:], b[:, 256:])
    voices = {0: tone(.32), 1: Audio(np.zeros(RATE // 3, np.float32), RATE)}
    both = lipsync(source, voices, out=tmp_path/'c.mp4', model=model, crf=4, **FEW[model])
    c = images(both.path)[4]
    assert changed(a[:, :256], c[:, :256]) > 2 and changed(a[:, 256:], c[:, 256:]) > 2
    assert not np.array_equal(c[:, :256], c[:, 256:])

@pytest.mark.parametrize('model', MODELS)
@pytest.mark.parametrize('preset', ['best', 'original'])
def test_the_same_seed_makes_the_same_video(tmp_path, model, preset):
    source, options = film(tmp_path/'a.mp4', 5), dict(model=model, preset=preset, **FEW[model])
    def made(name, **more):
        return lipsync(source, tone(.2), out=tmp_path/name, mark=False, **options, **more).path.read_bytes()
    one, two = made('a1.mp4'), made('a2.mp4')
    assert one == two
    if model == 'latentsync-1.5':
        assert made('d.mp4', seed=1247) == one    # seed 0 is the official one
        assert made('e.mp4', seed=1) != one

class Killed(Exception): pass

RESUMED = ('musetalk-1.5', 'best'), ('latentsync-1.5', 'best'), ('latentsync-1.5', 'original')

@pytest.mark.parametrize('model, preset', RESUMED)
def test_a_stopped_job_is_resumed(tmp_path, monkeypatch, model, preset):
    from functools import partial
    monkeypatch.setattr(run, 'ResumableWriter', partial(ResumableWriter, seconds=.2))
    source, options = film(tmp_path/'a.mp4', 24), dict(model=model, preset=preset, mark=False, **FEW[model])
    def stop(p):
        if p.stage.startswith('drawing') and p.share > .8: raise Killed
    with pytest.raises(Killed): lipsync(source, tone(.96), out=tmp_path/'b.mp4', progress=stop, **options)
    assert len(list((tmp_path/'.b.mp4.parts').glob('*.mp4'))) >= 2
    again, whole = (lipsync(source, tone(.96), out=tmp_path/name, **options).path for name in ('b.mp4', 'c.mp4'))
    assert same(images(again), images(whole))

@pytest.mark.parametrize('model', MODELS)
def test_silence(tmp_path, model, coder):
    source = film(tmp_path/'a.mp4', 5)
    r = lipsync(source, (np.zeros(RATE // 5, np.float32), RATE), out=tmp_path/'b.mp4', model=model, crf=4, mark='tag', **FEW[model])
    top = slice(0, 50)    # above the face; encoding the video again changes it by .4
    assert r.n_frames == 5
    assert all(changed(a[top], b[top]) < 1 < 2 < changed(a, b) for a, b in zip(images(source), images(r.path)))

@pytest.mark.parametrize('model', MODELS)
def test_a_minute_of_sound(tmp_path, monkeypatch, model):
    "Three pieces of Whisper's 30 seconds; the video is played to and fro"
    monkeypatch.setattr('lipsync_kit.pipe.stages.SPARSE', 1)     # two frames a second are enough here
    source = film(tmp_path/'a.mp4', 4, 2)
    r = lipsync(source, tone(61), out=tmp_path/'b.mp4', model=model, **FEW[model])
    shown, made = images(source), images(r.path)
    assert r.n_frames == len(made) == 122 and abs(read_audio(r.path).duration - 61) < .1
    source_frames = [shown[min(i % 6, 6 - i % 6)] for i in range(122)]
    assert all(changed(a, b) > 1 for a, b in zip(source_frames, made))     # the last ones too

def test_a_small_face_is_flagged_not_refused(tmp_path):
    import cv2
    with Writer(tmp_path/'a.mp4', 320, 240, 25, crf=4) as w:
        for i in range(5):
            im = np.full((240, 320, 3), 90, np.uint8)
            im[70:170, 100:200] = cv2.resize(picture(i), (100, 100), interpolation=cv2.INTER_AREA)
            w.write(im)
    r = lipsync(tmp_path/'a.mp4', tone(.2), out=tmp_path/'b.mp4', model='latentsync-1.5', steps=1, crf=4)
    assert any('is enlarged; the official program refuses' in n for n in r.warnings)
    assert changed(images(tmp_path/'a.mp4')[2], images(r.path)[2]) > .5

def test_a_still_speaks(tmp_path):
    for model in MODELS:
        assert lipsync(picture(0), tone(.2), out=tmp_path/'b.mp4', model=model, fps=50, **FEW[model]).n_frames == 10

@pytest.mark.parametrize('model', MODELS)
def test_sixty_frames_a_second(tmp_path, model):
    source = film(tmp_path/'a.mp4', 24, 60)
    r = lipsync(source, tone(.4), out=tmp_path/'b.mp4', model=model, **FEW[model])
    assert r.fps == 60 and r.n_frames == 24
    assert [f.time for f in read_frames(r.path)] == [f.time for f in read_frames(source)]

@pytest.mark.parametrize('model', MODELS)
def test_no_more_frames_are_held_in_a_longer_video(model):
    "Of 128 frames"
    face, photo, made, most = landmarks(picture(0)), picture(0), [], 0
    def frames():
        nonlocal most
        for i in range(128):
            frame = Frame(photo.copy(), Fraction(i, 25))
            made.append(weakref.ref(frame.image))
            most = max(most, sum(r() is not None for r in made))
            yield frame, [face]
    loaded = load_model(model, 'cpu', make_options(model, **FEW[model]).settings)
    clip, signals = Clip(None, 'video', 256, 256, fps=Fraction(25)), {None: DrivingSignal(audio=tone(128 / 25))}
    for _ in loaded.render(RenderRequest(clip, frames(), signals)): pass
    assert most < 72, most    # four chunks of 16 (read, drawn, pasted back, given) and those that smoothing needs

def test_memory_levels_draw_the_same(coder):
    "As they are drawn: where one grey level lies between two planes of a video, their pictures are up to four apart in blue"
    photos, signals = [picture(i) for i in range(4)], {None: DrivingSignal(audio=tone(.16))}
    seen, clip = [landmarks(p) for p in photos], Clip(None, 'video', 256, 256, fps=Fraction(25))
    def made(**options):
        model = load_model('latentsync-1.5', 'cpu', make_options('latentsync-1.5', steps=2, **options).settings)
        frames = ((Frame(p.copy(), Fraction(i, 25)), [f]) for i, (p, f) in enumerate(zip(photos, seen)))
        return list(model.render(RenderRequest(clip, frames, signals)))
    full, low, lowest = (made(memory=m) for m in ('auto', 'low', 'lowest'))
    assert all(changed(a, b) > 2 for a, b in zip(photos, full))
    for other in low, lowest: assert max(np.abs(a.astype(int) - b).max() for a, b in zip(full, other)) <= 1    # of rounding
    assert not same(full, made(cache_interval=2, guidance=1))

def test_an_estimate_comes_before_the_run(tmp_path):
    said = []
    lipsync(film(tmp_path/'a.mp4', 3), tone(.12), out=tmp_path/'b.mp4', model='latentsync-1.5', steps=1, memory='low',
        device='cpu', progress=said.append)
    notes = [p for p in said if p.stage == 'loading' and p.note]
    assert len(notes) == 1 and notes[0].note.startswith('about ') and 'GB of memory on cpu' in notes[0].note
    assert said.index(notes[0]) < min(i for i, p in enumerate(said) if p.stage.startswith('drawing'))

def test_a_chunk_reports_its_steps_and_can_be_stopped(tmp_path, monkeypatch):
    "Sixteen frames can take minutes: each step is reported, and a job that is stopped between two of them stops there"
    said, calls, net = [], [], UNet3D.forward_both
    def slow(self, *args):
        calls.append(1)
        time.sleep(.25)
        return net(self, *args)
    monkeypatch.setattr(UNet3D, 'forward_both', slow)
    def stop(p):
        said.append((p.share, p.stage))
        if p.stage == 'drawing, step 3 of 40': raise Killed
    source = film(tmp_path/'a.mp4', 12)
    with pytest.raises(Killed):
        lipsync(source, tone(.48), out=tmp_path/'b.mp4', model='latentsync-1.5', steps=40, progress=stop)
    n = len(calls)
    time.sleep(1.)
    assert n == len(calls) <= 6 and said[-1][0] == pytest.approx(3 / 40, abs=.001)

def test_a_plan_does_not_wait_for_a_slow_model(tmp_path, monkeypatch):
    from lipsync_kit.pipe import plan as page
    calls, net = [], UNet3D.forward_both
    def slow(self, *args):
        calls.append(1)
        time.sleep(.1)
        return net(self, *args)
    monkeypatch.setattr(UNet3D, 'forward_both', slow)
    monkeypatch.setattr(page, 'PATIENCE', .5)
    p = page.plan(film(tmp_path/'a.mp4', 50), tone(2), model='latentsync-1.5', steps=100, guidance=1)
    assert len(calls) < 50 and p.seconds > 50     # 10 s or more for each fifth of a second

def test_weights_of_ones_own(tmp_path, files, coder):
    torch.manual_seed(1)
    torch.save(unet(SMALL).state_dict(), tmp_path/'mine.pth')
    source = film(tmp_path/'a.mp4', 4)
    def made(name, weights=None):
        return lipsync(source, tone(.16), out=tmp_path/name, model='musetalk-1.5', weights=weights)
    mine, theirs = made('0.mp4', tmp_path/'mine.pth'), made('1.mp4')
    assert not same(images(mine.path), images(theirs.path))
    assert any('mine.pth' in l.part and not l.commercial for l in mine.licences)
    want = {'musetalk-1.5': 'CreativeML-OpenRAIL-M', 'sd-vae-ft-mse': 'MIT', 'whisper-tiny-hf': 'Apache-2.0'}
    assert want.items() <= {l.part: l.licence for l in theirs.licences}.items()

def test_licences_under_a_commercial_policy(tmp_path):
    source = film(tmp_path/'a.mp4', 3)
    for model in MODELS:
        r = lipsync(source, tone(.12), out=tmp_path/'b.mp4', model=model, policy='commercial', **FEW[model])
        assert r.n_frames == 3
    with pytest.raises(KitError, match='forbids face-parse'):
        lipsync(source, tone(.12), model='musetalk-1.5', preset='original', policy='commercial')

REFUSED = [   # model, option, what the message has
    ('musetalk-1.5', dict(steps=5), 'takes no steps.*latentsync-1.6'),
    ('musetalk-1.5', dict(bbox_shift=5), 'takes no bbox_shift.*musetalk-1.0'),
    ('latentsync-1.5', dict(blend='jaw'), 'takes no blend'),
    ('portrait', dict(memory='low'), 'takes no memory'),
    ('musetalk-1.5', dict(blend='jaw'), "preset='original'"),
    ('latentsync-1.5', dict(steps=1000), 'steps must lie'),
    ('latentsync-1.5', dict(cache_interval=0), 'cache_interval must lie')]

@pytest.mark.parametrize('model, option, words', REFUSED)
def test_options_that_a_model_does_not_take_are_refused(model, option, words):
    with pytest.raises(KitError, match=words): lipsync(picture(0), tone(.1), model=model, **option)

def test_a_missing_file_is_named_with_its_download(tmp_path, monkeypatch):
    monkeypatch.setenv('LIPSYNC_KIT_HOME', str(tmp_path))
    for name in ('musetalk-1.0', *MODELS, 'latentsync-1.6'):
        ready = is_available(name)
        assert len(ready.missing) == 1     # one command downloads all three files
        assert all(words in str(ready) for words in (f'lipsync models download {name} (', 'RAIL', 'MIT'))

def test_an_avatar_speaks_live_and_idles(tmp_path):
    "A clip prepared once and kept; frames come while the sound arrives, forwards and backwards"
    source, path = film(tmp_path/'a.mp4', 6, NTSC), tmp_path/'me.avatar'
    sound = Audio(np.r_[tone(.3).samples, np.zeros(RATE * 3 // 10, np.float32)], RATE)
    pieces = lambda: (sound.cut(t, t + .1) for t in np.arange(0, .55, .1))
    first = list(Live(source, avatar=path, model='musetalk-1.5').frames(pieces()))
    assert path.is_file()
    again = list(Live(source, avatar=path, model='musetalk-1.5').frames(pieces()))
    assert same([f.image for f in first], [f.image for f in again])
    assert [f.time for f in first] == [i / NTSC for i in range(18)]
    shown, top = images(source), slice(0, 90)     # above the mouth
    order = [int(np.argmin([changed(f.image[top], s[top]) for s in shown])) for f in first]
    assert order == [0, 1, 2, 3, 4, 5, 4, 3, 2, 1, 0, 1, 2, 3, 4, 5, 4, 3] and changed(first[8].image, shown[2]) > .5
    assert len(list(stream(picture(0), pieces(), model='musetalk-1.5'))) == 15
    with pytest.raises(KitError, match='does not draw live'): Live(source, model='latentsync-1.5')

def test_an_offloaded_module_returns_after_an_error():
    net = torch.nn.Linear(2, 2)
    at = net.weight.data_ptr()
    class Far(OffloadedModule):
        def __enter__(self):
            super().__enter__()
            for t, x in self.home: t.data = x.clone()
    with pytest.raises(ValueError):
        with Far(net, 'cpu'): raise ValueError
    assert net.weight.data_ptr() == at

def test_the_pages_import_without_the_extra():
    "diffusers is imported when a network or a scheduler is made; without it the message has the install line"
    code = '''
import sys
sys.modules['diffusers'] = sys.modules['transformers'] = None   # importing them fails
from lipsync_kit.models.latentsync import model, sampling
from lipsync_kit.models.musetalk import model
sampling.check_steps(20)
try: sampling.ddim_scheduler(20)
except sampling.KitError as e: print(e)
'''
    r = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert "pip install 'lipsync_kit[diffusion]'" in r.stdout, r.stderr
