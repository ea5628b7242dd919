"What is transparent stays so, in every kind of file and through every door; numbered pictures"
import json
from fractions import Fraction
from importlib.resources import files
from pathlib import Path
import cv2, numpy as np, pytest
from PIL import Image
from lipsync_kit import KitError, lipsync, plan
from lipsync_kit.cli.main import run
from lipsync_kit.media.provenance import read_mark
from lipsync_kit.media.probe import probe
from lipsync_kit.media.read import read_audio, read_frames, read_image
from lipsync_kit.pipe.run import process

T = np.arange(9600) / 16000
SPEECH = (.3 * np.sin(2 * np.pi * 140 * T) * np.abs(np.sin(2 * np.pi * 3 * T))).astype(np.float32), 16000     # .6 s

@pytest.fixture(scope='module')
def cut_out(tmp_path_factory):
    "A head without its surroundings; what is transparent is bright green"
    photo = np.asarray(Image.open(files('lipsync_kit')/'data'/'astronaut.jpg'))
    y, x = np.mgrid[:512, :512]
    alpha = np.clip((1 - np.hypot((x - 224) / 66, (y - 116) / 84)) * 1200 + 128, 0, 255).astype(np.uint8)
    rgb = np.where(alpha[..., None] > 0, photo, np.uint8([0, 255, 0]))
    path = tmp_path_factory.mktemp('cut')/'head.png'
    Image.fromarray(np.dstack([rgb, alpha])[:256, 96:352]).save(path)
    return path

def frames_of(path):
    if path.suffix == '.json': return [read_image(path.parent/f['file']) for f in json.loads(path.read_text())['frames']]
    return list(read_frames(path))

KINDS = 'a.mov', 'a.webm', 'a.webp', 'a.apng', 'pictures/%04d.png', 'folder/'

@pytest.mark.parametrize('name', KINDS)
def test_every_kind_keeps_it(cut_out, tmp_path, name):
    out = f'{tmp_path}/{name}'
    r = lipsync(cut_out, SPEECH, out=out, transparent=True, head=2)
    frames = frames_of(r.path)
    assert len(frames) == r.n_frames == 15 and not any('white' in w for w in r.warnings)
    assert all(f.alpha is not None and f.alpha.shape == (256, 256) for f in frames)
    for f in frames:
        assert f.alpha[2, 2] < 3 and f.alpha[120, 128] > 252
        edge = (f.alpha > 60) & (f.alpha < 200)
        green = f.image[edge].astype(int) @ [-1, 2, -1]
        assert edge.sum() > 50 and np.percentile(green, 95) < 60, 'the colour of what is transparent shows at the edge'
    assert np.abs(frames[0].alpha.astype(int) - frames[-1].alpha).max() > 20      # it moves with the head
    mark = read_mark(r.path if r.path.suffix != '.json' else r.path.parent/json.loads(r.path.read_text())['frames'][0]['file'])
    assert 'trainedAlgorithmicMedia' in mark['digital source type']
    if name in ('a.mov', 'a.webm'): assert abs(read_audio(r.path).duration - .6) < .1

def test_a_result_can_be_shown(cut_out, tmp_path):
    r = lipsync(cut_out, SPEECH, out=f'{tmp_path}/p/', transparent=True)
    assert r.strip(2).data[:2] == b'\xff\xd8' and 'pictures in' in r.html()
    with pytest.raises(KitError, match='copy that folder'): r.save(tmp_path/'x.json')

def test_times_of_a_sequence(cut_out, tmp_path):
    r = lipsync(cut_out, SPEECH, out=f'{tmp_path}/new/shot_%03d.png', fps=30)
    facts = json.loads((tmp_path/'new'/'shot_frames.json').read_text())
    assert r.path == tmp_path/'new'/'shot_frames.json' and facts['fps'] == '30' and facts['alpha'] is False
    assert [f['file'] for f in facts['frames']] == [f'shot_{i:03d}.png' for i in range(1, 19)]
    assert [f['time'] for f in facts['frames']] == [round(i / 30, 6) for i in range(18)] and facts['model'] == 'portrait'
    assert read_image(tmp_path/'new'/'shot_001.png').alpha is None and any('no sound' in w for w in r.warnings)

@pytest.mark.parametrize('name', ['a.mov', 'p/%05d.png'])
def test_a_stopped_job_leaves_nothing_and_goes_on(cut_out, tmp_path, name, monkeypatch):
    from lipsync_kit.media import resume, sequence
    monkeypatch.setattr(sequence.SequenceWriter.__init__, '__defaults__', (25, None, '', Fraction(1, 5), False))
    defaults = list(resume.ResumableWriter.__init__.__defaults__)
    defaults[defaults.index(resume.PART)] = Fraction(1, 5)
    monkeypatch.setattr(resume.ResumableWriter.__init__, '__defaults__', tuple(defaults))
    def once(stop=None):
        def tell(p):
            if stop and p.stage == 'drawing' and p.share > stop: raise KeyboardInterrupt
        return lipsync(cut_out, SPEECH, out=f'{tmp_path}/{name}', transparent=True, seed=3, progress=tell)
    with pytest.raises(KeyboardInterrupt): once(.8)
    assert not list(tmp_path.glob('a.*')) and not list(tmp_path.glob('p/*.png')) and not list(tmp_path.glob('p/*.json'))
    resumed = frames_of(once().path)
    assert not [p for p in tmp_path.rglob('.*') if p.name.endswith('.parts')]
    straight = frames_of(lipsync(cut_out, SPEECH, out=f'{tmp_path}/again/{name}', transparent=True, seed=3).path)
    assert len(resumed) == len(straight) == 15
    assert all(np.array_equal(a.alpha, b.alpha) and np.array_equal(a.image, b.image) for a, b in zip(resumed, straight))

def test_a_video_keeps_it_too(cut_out, tmp_path):
    film = lipsync(cut_out, SPEECH, out=tmp_path/'film.webm', transparent=True).path
    assert probe(film).alpha
    r = lipsync(film, SPEECH, out=tmp_path/'dub.mov', transparent=True, size=128)
    frames = frames_of(r.path)
    assert r.size == (128, 128) and all(f.alpha[1, 1] < 3 and f.alpha[60, 64] > 250 for f in frames) and len(frames) == r.n_frames
    white = lipsync(film, SPEECH, out=tmp_path/'plain.mp4')
    assert next(read_frames(white.path)).image[2, 2].min() > 250 and any('white' in w for w in white.warnings)

def test_framing_effects_and_pictures_without_speech(cut_out, tmp_path):
    r = lipsync(cut_out, SPEECH, out=tmp_path/'a.mov', transparent=True, frame='face', aspect='1:1', effects='sharpen')
    f = next(read_frames(r.path))
    assert f.alpha.shape == f.image.shape[:2] == r.size[::-1] and r.size[0] < 256
    x = read_image(process(cut_out, 'sharpen', out=tmp_path/'b.png', transparent=True).path)
    assert np.array_equal(x.alpha, read_image(cut_out).alpha)
    array = np.asarray(Image.open(cut_out))
    for face in (array, Image.fromarray(array)):
        assert next(read_frames(lipsync(face, SPEECH, out=tmp_path/'c.mov', transparent=True).path)).alpha[2, 2] < 3

def test_command_line_and_plan(cut_out, tmp_path, capsys):
    import soundfile
    soundfile.write(tmp_path/'s.wav', SPEECH[0], SPEECH[1])
    args = [str(cut_out), str(tmp_path/'s.wav')]
    assert run(['talk', *args, '-o', f'{tmp_path}/out/', '--transparent', '-q']) == 0
    assert len(list((tmp_path/'out').glob('*.png'))) == 15 and (tmp_path/'out'/'frames.json').is_file()
    assert run(['plan', *args]) == 0 and '--transparent keeps it' in capsys.readouterr().out
    assert run(['plan', *args, '--transparent']) == 0 and 'stay transparent' in capsys.readouterr().out
    assert run(['talk', *args, '-o', str(tmp_path/'a.mp4'), '--transparent']) == 2
    assert '.webm, .mov' in capsys.readouterr().err

def test_mistakes_are_told_before_anything_is_drawn(cut_out, tmp_path):
    photo = str(files('lipsync_kit')/'data'/'astronaut.jpg')
    with pytest.raises(KitError, match='nothing in .* is transparent'): lipsync(photo, SPEECH, out=tmp_path/'a.mov', transparent=True)
    with pytest.raises(KitError, match='nothing in .* is transparent'): plan(photo, SPEECH, transparent=True)
    with pytest.raises(KitError, match='must end in .png'): lipsync(photo, SPEECH, out=tmp_path/'%d.jpg')
    with pytest.raises(KitError, match='draws the whole head anew'): plan(cut_out, SPEECH, transparent=True, model='gaussian')
    (tmp_path/'mine').mkdir(); (tmp_path/'mine'/'00007.png').write_bytes(b'mine')
    with pytest.raises(KitError, match='pictures of another origin'): lipsync(cut_out, SPEECH, out=f'{tmp_path}/mine/')
    assert [p.name for p in tmp_path.rglob('*') if p.is_file()] == ['00007.png']
