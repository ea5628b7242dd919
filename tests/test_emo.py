"""EchoMimic through the whole pipeline: files of small networks with random weights, read by the loaders of the published ones. What is drawn
in the square is noise; everything around it is real."""
from fractions import Fraction
from functools import partial
import weakref
import cv2, numpy as np, pytest, torch
from lipsync_kit import KitError, lipsync
from lipsync_kit.core import Clip, Frame
from lipsync_kit.faces.detect import landmarks
from lipsync_kit.media.probe import probe
from lipsync_kit.media.read import read_frames
from lipsync_kit.media.resume import ResumableWriter
from lipsync_kit.media.write import Writer
from lipsync_kit.models.contract import DrivingSignal, RenderRequest, is_available, load_model
from lipsync_kit.models.emo import model as emo
from lipsync_kit.models.emo.unet import DenoisingUNet, PortraitNets
from lipsync_kit.nn.vae import vae
from lipsync_kit.nn.whisper import encoder_network
from lipsync_kit.pipe import run
from lipsync_kit.pipe.plan import plan
from test_dub import tone
from skimage import data

pytest.importorskip('diffusers')
pytest.importorskip('transformers')
SMALL, FEW = (32,) * 4, dict(model='emo', steps=2, device='cpu')

@pytest.fixture(scope='module')
def files(tmp_path_factory):
    "Name in the hub -> folder or file of a small network, under the published names"
    root, torch_seed = tmp_path_factory.mktemp('weights'), torch.manual_seed(0)
    seeing, net = PortraitNets(SMALL), DenoisingUNet(SMALL)
    motion = {k: v for k, v in net.state_dict().items() if 'motion_modules' in k}
    own = {k: v for k, v in net.state_dict().items() if k not in motion}
    for folder, parts in {'EchoMimic': dict(reference_unet=seeing.reference.state_dict(), face_locator=seeing.locator.state_dict()),
                          'EchoMimic-few-step': dict(denoising_unet_acc=own, motion_module_acc=motion),
                          'EchoMimic-standard': dict(denoising_unet=own, motion_module=motion)}.items():
        (root/folder).mkdir()
        for name, weights in parts.items(): torch.save(weights, root/folder/f'{name}.pth')
    torch.save(vae(SMALL, 1).state_dict(), root/'vae.bin')
    torch.save({f'model.encoder.{k}': v for k, v in encoder_network(384, 4, 64).state_dict().items()}, root/'whisper.pth')
    return {n: root/n for n in ('EchoMimic', 'EchoMimic-few-step', 'EchoMimic-standard')} | {'sd-vae-ft-mse': root/'vae.bin', 'whisper-tiny': root/'whisper.pth'}

@pytest.fixture(autouse=True)
def small(files, monkeypatch):
    from lipsync_kit.hub import memory
    memory.manager.cleanup()
    monkeypatch.setattr(memory, 'find', lambda name, folder=None: files[name])
    monkeypatch.setattr(emo, 'SIDE', 128)
    monkeypatch.setattr(emo, 'find', lambda name: name)
    monkeypatch.setattr(emo, 'Mtcnn', lambda *_, **__: lambda image: [])

def photo(): return data.astronaut()[:400]
def images(path): return [f.image for f in read_frames(path)]
def same(a, b): return len(a) == len(b) and all(map(np.array_equal, a, b))
def changed(a, b): return np.abs(a.astype(int) - b).mean()

@pytest.mark.parametrize('fps', [12, 25, Fraction(30000, 1001), 50])
def test_any_frame_rate_and_the_whole_picture(tmp_path, fps):
    r = lipsync(photo(), tone(1), out=tmp_path/'b.mp4', fps=fps, crf=4, mark='tag', **FEW)
    made = images(r.path)
    assert r.fps == probe(r.path).fps == fps and r.size == (512, 400) and len(made) == r.n_frames == round(fps)
    assert all(changed(m[300:], photo()[300:]) < 2 < 20 < changed(m[:220, 130:330], photo()[:220, 130:330]) for m in made)
    assert r.warnings and any('enlarged' in w for w in r.warnings)

def test_the_same_seed_makes_the_same_video(tmp_path):
    def made(name, **more): return lipsync(photo(), tone(.3), out=tmp_path/name, mark=False, **{**FEW, **more}).path.read_bytes()
    one = made('a.mp4')
    assert made('b.mp4') == one == made('c.mp4', seed=420)      # seed 0 is the official one
    others = made('d.mp4', seed=1), made('e.mp4', audio_gain=0), made('f.mp4', guidance=2), made('g.mp4', model='emo-standard')
    assert one not in others and len({*others}) == 4

def test_original_draws_the_square_at_24_frames_a_second(tmp_path):
    r = lipsync(photo(), tone(.5), out=tmp_path/'b.mp4', preset='original', **FEW)
    assert (r.size, r.fps) == ((128, 128), 24) and r.n_frames in (13, 14)

def test_memory_levels_draw_the_same(tmp_path):
    full, low, lowest = (images(lipsync(photo(), tone(.3), out=tmp_path/f'{m}.mp4', memory=m, crf=0, mark='tag', **FEW).path) for m in ('auto', 'low', 'lowest'))
    for other in low, lowest: assert max(np.abs(a.astype(int) - b).max() for a, b in zip(full, other)) <= 3

class Killed(Exception): pass

def test_a_stopped_job_is_resumed(tmp_path, monkeypatch):
    monkeypatch.setattr(run, 'ResumableWriter', partial(ResumableWriter, seconds=.4))
    def stop(p):
        if p.stage.startswith('drawing') and p.share > .9: raise Killed
    options = dict(mark=False, **FEW)
    with pytest.raises(Killed): lipsync(photo(), tone(2), out=tmp_path/'b.mp4', progress=stop, **options)
    assert len(list((tmp_path/'.b.mp4.parts').glob('*.mp4'))) >= 2
    again, whole = (lipsync(photo(), tone(2), out=tmp_path/name, **options).path for name in ('b.mp4', 'c.mp4'))
    assert same(images(again), images(whole))

def test_no_more_is_held_in_a_longer_video():
    "Pictures that are alive at the same time, of 150"
    image, made, most = photo(), [], 0
    face = landmarks(image)
    loaded = load_model('emo', 'cpu', emo.EmoSettings(steps=2))
    frames = ((Frame(image, Fraction(i, 25)), [face]) for i in range(150))
    request = RenderRequest(Clip(None, 'image', 512, 400), frames, {None: DrivingSignal(audio=tone(6))}, still=True, n_frames=150)
    for picture in loaded.render(request):
        made.append(weakref.ref(picture))
        del picture
        most = max(most, sum(r() is not None for r in made))
    assert len(made) == 150 and most < 8

def test_what_cannot_be_drawn_is_said_in_one_sentence(tmp_path):
    with Writer(tmp_path/'a.mp4', 512, 400, 25, crf=6) as w:
        for _ in range(3): w.write(photo())
    two = np.hstack([photo(), photo()])
    tiny = cv2.resize(photo(), (128, 100), interpolation=cv2.INTER_AREA)
    for face, words, more in ((tmp_path/'a.mp4', 'emo makes a picture talk, and .* is a video', {}), (np.full((300, 300, 3), 90, np.uint8), 'no face was found', {}),
                              (two, 'draws one face and 2 were chosen', dict(choose='all')), (tiny, 'pixels wide, emo needs 64', {})):
        with pytest.raises(KitError, match=words): lipsync(face, tone(.2), out=tmp_path/'b.mp4', **{**FEW, **more})
        assert not (tmp_path/'b.mp4').exists()
    with pytest.raises(KitError, match='draws the whole head anew'):
        lipsync(np.dstack([photo(), np.r_[np.full((300, 512), 255, np.uint8), np.zeros((100, 512), np.uint8)]]), tone(.2), out=tmp_path/'b.mov', transparent=True, **FEW)
    with pytest.raises(KitError, match='takes no motion track'): lipsync(photo(), motion='x.json', out=tmp_path/'b.mp4', **FEW)

def test_one_of_several_faces_is_drawn(tmp_path):
    r = lipsync(np.hstack([photo(), photo()]), tone(.2), out=tmp_path/'b.mp4', crf=4, choose='largest', mark='tag', **FEW)
    a, b = np.hstack([photo(), photo()]), images(r.path)[2]
    halves = sorted(changed(a[:220, x:x + 512], b[:220, x:x + 512]) for x in (0, 512))
    assert halves[0] < 2 < 5 < halves[1]

def test_missing_files_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv('LIPSYNC_KIT_HOME', str(tmp_path))
    for name, weights in (('emo', 'EchoMimic-few-step'), ('emo-standard', 'EchoMimic-standard')):
        ready = is_available(name)
        assert len(ready.missing) == 1 and f'lipsync models download {weights} (' in str(ready) and 'Apache-2.0' in str(ready)
    assert 'mtcnn' in str(is_available('emo', 'original'))

def test_a_plan_and_the_licences(tmp_path):
    p = plan(photo(), tone(1), **FEW)
    assert p.seconds > 0
    r = lipsync(photo(), tone(.2), out=tmp_path/'b.mp4', policy='commercial', **FEW)
    want = {'EchoMimic': 'Apache-2.0', 'EchoMimic-few-step': 'Apache-2.0', 'sd-vae-ft-mse': 'MIT', 'whisper-tiny': 'MIT'}
    assert want.items() <= {l.part: l.licence for l in r.licences}.items()

def test_progress_is_told_before_the_first_frame(tmp_path):
    said = []
    lipsync(photo(), tone(1), out=tmp_path/'b.mp4', progress=said.append, **FEW)
    shares = [p.share for p in said if p.stage.startswith('drawing')]
    assert shares == sorted(shares) and any('window' in p.stage for p in said)
