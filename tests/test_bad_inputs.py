"A zoo of broken and odd inputs: one clear message and exit code 2, or a complete video; never a traceback, never half a file."
import errno, os, threading, wave
import av, numpy as np, pytest
from PIL import Image
from skimage import data
from lipsync_kit.cli import main as cli

RATE = 16000

@pytest.fixture(scope='module')
def zoo(tmp_path_factory): return Zoo(tmp_path_factory.mktemp('zoo'))

class Zoo:
    "Makes each animal when it is asked for"
    def __init__(self, folder):
        self.folder = folder
        self.face_array = np.array(Image.fromarray(data.astronaut()[:256, 96:352]))
        self.face = self.image('face.jpg', self.face_array)
        self.speech = self.wav('speech.wav', .3*np.sin(2*np.pi*180*np.arange(int(.5*RATE))/RATE))
    def path(self, name): return self.folder/name
    def raw(self, name, content=b''): self.path(name).write_bytes(content); return self.path(name)
    def image(self, name, array, **kw): Image.fromarray(array).save(self.path(name), **kw); return self.path(name)
    def wav(self, name, x, rate=RATE, channels=1):
        with wave.open(str(self.path(name)), 'wb') as w:
            w.setnchannels(channels); w.setsampwidth(2); w.setframerate(rate)
            w.writeframes((np.clip(np.repeat(x, channels), -1, 1)*32767).astype('<i2').tobytes())
        return self.path(name)
    def float_wav(self, name, x, rate=RATE):
        with av.open(str(self.path(name)), 'w') as c:
            s = c.add_stream('pcm_f32le', rate=rate, layout='mono')
            f = av.AudioFrame.from_ndarray(x.astype(np.float32)[None], 'flt', 'mono'); f.rate = rate
            for p in [*s.encode(f), *s.encode(None)]: c.mux(p)
        return self.path(name)
    def video(self, name, frames, fps=25, codec='libx264'):
        with av.open(str(self.path(name)), 'w') as c:
            s = c.add_stream(codec, rate=fps); s.height, s.width = frames[0].shape[:2]; s.pix_fmt = 'yuv420p'
            for a in frames:
                for p in s.encode(av.VideoFrame.from_ndarray(a, 'rgb24')): c.mux(p)
            for p in s.encode(None): c.mux(p)
        return self.path(name)

def talk(capsys, zoo, tmp_path, face, audio=None, *more, out='out.mp4'):
    "Exit code, what was said on stderr, and where the video would be"
    out = tmp_path/out
    args = ['talk', *map(str, more), '-o', str(out), '--', str(face)] + ([str(audio)] if audio else [])
    capsys.readouterr()
    code = cli.run(args)
    return code, capsys.readouterr().err, out

def check(code, err, out, want):
    assert 'Traceback' not in err
    assert code == want, err
    left = [p.name for p in out.parent.iterdir() if p != out] if out.parent.is_dir() else []
    assert not [n for n in left if n.startswith('.')], left
    if want == 0:
        with av.open(str(out)) as c:
            assert sum(1 for _ in c.decode(video=0)) >= 1
    else:
        lines = [l for l in err.splitlines() if l.startswith('lipsync: ')]
        assert len(lines) == 1 and len(lines[0]) > 30, err
        assert not out.is_file()

rng = np.random.default_rng(0)

def cut(zoo, part):
    "A video whose index is whole and whose frames are not all there"
    whole = zoo.path('faststart.mp4')
    with av.open(str(whole), 'w', options=dict(movflags='faststart')) as c:
        s = c.add_stream('libx264', rate=25); s.width, s.height, s.pix_fmt = 256, 256, 'yuv420p'
        for i in range(40):
            for p in s.encode(av.VideoFrame.from_ndarray(np.roll(zoo.face_array, i, 1), 'rgb24')): c.mux(p)
        for p in s.encode(None): c.mux(p)
    return zoo.raw(f'cut_{part}.mp4', whole.read_bytes()[:int(whole.stat().st_size*part)])

FACES = dict(  # name -> (how to make it, exit code, words that the message must hold)
    missing=(lambda z: z.path('nowhere.jpg'), 2, 'nowhere.jpg'),
    folder=(lambda z: z.folder, 2, 'folder'),
    empty_mp4=(lambda z: z.raw('empty.mp4'), 2, 'empty.mp4'),
    empty_jpg=(lambda z: z.raw('empty.jpg'), 2, 'empty.jpg'),
    text_named_mp4=(lambda z: z.raw('text.mp4', b'hello ' * 99), 2, 'text.mp4'),
    text_named_jpg=(lambda z: z.raw('text.jpg', b'hello ' * 99), 2, 'text.jpg'),
    html_named_png=(lambda z: z.raw('page.png', b'<!doctype html><html></html>'), 2, 'page.png'),
    truncated_jpg=(lambda z: z.raw('cut.jpg', z.face.read_bytes()[:300]), 2, 'cut.jpg'),
    truncated_mp4=(lambda z: z.raw('cut.mp4', z.video('whole.mp4', [z.face_array]*12).read_bytes()[:900]), 2, 'cut.mp4'),
    cut_at_a_third=(lambda z: cut(z, .3), None, ''),
    cut_later=(lambda z: cut(z, .6), None, ''),
    one_pixel=(lambda z: z.image('one.png', np.zeros((1, 1, 3), np.uint8)), 2, 'face'),
    very_wide=(lambda z: z.image('wide.png', np.zeros((20, 20000, 3), np.uint8)), 2, ''),
    no_face=(lambda z: z.image('noise.png', rng.integers(0, 255, (200, 200, 3), dtype=np.uint8)), 2, 'no face'),
    black=(lambda z: z.image('black.png', np.zeros((200, 200, 3), np.uint8)), 2, 'no face'),
    sound_as_face=(lambda z: z.speech, 2, 'sound only'),
    transparent=(lambda z: z.image('clear.png', np.dstack([z.face_array, np.zeros((256, 256), np.uint8)])), 2, 'no face'),
    spaces=(lambda z: z.image('a face with spaces.jpg', z.face_array), 0, ''),
    quotes=(lambda z: z.image("it's \"quoted\" $HOME `x`.jpg", z.face_array), 0, ''),
    unicode=(lambda z: z.image('лицо 顔 🙂.jpg', z.face_array), 0, ''),
    leading_dash=(lambda z: z.image('-face.jpg', z.face_array), 0, ''),
    gray=(lambda z: z.image('gray.png', z.face_array.mean(-1).astype(np.uint8)), 0, ''),
    sixteen_bit=(lambda z: z.image('deep.png', z.face_array.mean(-1).astype(np.uint16)*257), 0, ''),
    cmyk=(lambda z: (Image.fromarray(z.face_array).convert('CMYK').save(z.path('cmyk.jpg')), z.path('cmyk.jpg'))[1], 0, ''),
    palette=(lambda z: (Image.fromarray(z.face_array).quantize(64).save(z.path('palette.png')), z.path('palette.png'))[1], 0, ''),
    odd_size=(lambda z: z.image('odd.png', z.face_array[:255, :251]), 0, ''),
    at_the_border=(lambda z: z.image('border.png', np.ascontiguousarray(z.face_array[:, 60:])), None, ''),
    wrong_suffix=(lambda z: z.raw('really_a_jpg.png', z.face.read_bytes()), 0, ''),
    gif=(lambda z: (Image.fromarray(z.face_array).save(z.path('a.gif'), save_all=True, append_images=[Image.fromarray(z.face_array)]*3, duration=40), z.path('a.gif'))[1], 0, ''),
    faceless_video=(lambda z: z.video('plain.mp4', [np.full((128, 128, 3), i*9, np.uint8) for i in range(8)]), None, ''),
)
SOUNDS = dict(
    missing=(lambda z: z.path('nowhere.wav'), 2, 'nowhere.wav'),
    empty=(lambda z: z.raw('empty.wav'), 2, 'empty.wav'),
    no_samples=(lambda z: z.wav('nothing.wav', np.zeros(0)), 2, 'nothing.wav'),
    nan=(lambda z: z.float_wav('nan.wav', np.where(np.arange(8000) == 4000, np.nan, .1)), 2, 'not a number'),
    text_named_wav=(lambda z: z.raw('text.wav', b'hello ' * 99), 2, 'text.wav'),
    image_as_sound=(lambda z: z.face, 2, 'sound'),
    silent_film=(lambda z: z.video('silent.mp4', [z.face_array]*8), 2, 'sound'),
    digital_zero=(lambda z: z.wav('zero.wav', np.zeros(8000)), 0, ''),
    clipped=(lambda z: z.wav('clipped.wav', 9*np.sin(np.arange(8000)/9)), 0, ''),
    very_short=(lambda z: z.wav('short.wav', .1*np.ones(160)), 0, ''),
    one_sample=(lambda z: z.wav('one.wav', np.ones(1)*.1), 0, ''),
    telephone=(lambda z: z.wav('phone.wav', .3*np.sin(np.arange(4000)/5), rate=8000), 0, ''),
    six_channels=(lambda z: z.wav('surround.wav', .3*np.sin(np.arange(9600)/9), rate=96000, channels=6), 0, ''),
)
WISHES = dict(
    emotion=(['--emotion', 'hapy'], 'happy'), fps_zero=(['--fps', '0'], 'frame rate'), fps_word=(['--fps', 'fast'], 'frame rate'),
    size=(['--size', '5'], 'size'), model=(['--model', 'portrat'], 'portrait'), which_word=(['--face', 'left'], 'which face?'),
    which_number=(['--face', '7'], ''), motion_model=(['--motion-model', 'magic'], 'motion'), no_face=(['--no-face', 'skip'], '--no-face'),
    strength=(['--strength', '9'], 'strength'), text_too=(['--text', 'hello'], 'not both'), option=(['--colour', 'red'], 'colour'),
    motion_missing=(['--motion', 'none.json'], 'none.json'), unknown_motion=(['--motion', __file__], 'test_bad_inputs.py'),
)

@pytest.mark.parametrize('name', FACES)
def test_odd_face(name, zoo, capsys, tmp_path):
    make, want, words = FACES[name]
    code, err, out = talk(capsys, zoo, tmp_path, make(zoo), zoo.speech)
    check(code, err, out, code if want is None and code in (0, 2) else want)
    assert words in err

@pytest.mark.parametrize('name', SOUNDS)
def test_odd_sound(name, zoo, capsys, tmp_path):
    make, want, words = SOUNDS[name]
    code, err, out = talk(capsys, zoo, tmp_path, zoo.face, make(zoo))
    check(code, err, out, want)
    assert words in err

@pytest.mark.parametrize('name', WISHES)
def test_odd_wish(name, zoo, capsys, tmp_path):
    wishes, words = WISHES[name]
    code, err, out = talk(capsys, zoo, tmp_path, zoo.face, zoo.speech, *wishes)
    check(code, err, out, 2)
    assert words in err

@pytest.mark.parametrize('out', ['talk', 'talk.jpg', 'face.jpg/talk.mp4'])
def test_odd_output(out, zoo, capsys, tmp_path):
    (tmp_path/'face.jpg').write_bytes(b'in the way')
    check(*talk(capsys, zoo, tmp_path, zoo.face, zoo.speech, out=out), 2)

def test_output_is_a_folder(zoo, capsys, tmp_path):
    (tmp_path/'talk.mp4').mkdir()
    check(*talk(capsys, zoo, tmp_path, zoo.face, zoo.speech, out='talk.mp4'), 2)

@pytest.mark.parametrize('text', ['', '   ', '🙂🙂', '...'])
def test_odd_text(text, zoo, capsys, tmp_path):
    code, err, out = talk(capsys, zoo, tmp_path, zoo.face, None, f'--text={text}')
    check(code, err, out, code if code in (0, 2) else 2)

def test_a_text_longer_than_names_of_files_can_be(zoo, capsys, tmp_path):
    code, err, out = talk(capsys, zoo, tmp_path, zoo.face, None, '--text=' + 'so ' * 100, '--fps=5', '--size=64')
    check(code, err, out, 0)

def flags_of(command):
    import typer
    made = typer.main.get_command(cli.build_app([command])).commands[command]
    return [p.opts[0] for p in made.params if p.param_type_name == 'option' and not p.is_flag and p.opts[0].startswith('--')]

@pytest.mark.parametrize('value', ['x' * 5000, 'y/' * 400 + 'z.wav'])
def test_endless_values(value, zoo, capsys, tmp_path):
    "A value that is too long for anything is told in one line of a few hundred letters"
    for flag in flags_of('talk'):
        if flag in ('--text', '--out'): continue
        code, err, out = talk(capsys, zoo, tmp_path, zoo.face, None, '--text=so', flag, value)
        if code: assert len(err) < 1500 and 'our fault' not in err, (flag, err)
        check(code, err, out, code if code == 0 else 2)
        out.unlink(missing_ok=True)

def test_nothing_to_say(zoo, capsys, tmp_path): check(*talk(capsys, zoo, tmp_path, zoo.face), 2)

@pytest.mark.parametrize('content', ['', '{}', '[1, 2', '{"fps": 25, "names": ["jawOpen"], "frames": [[NaN]], "mouth_open": [0]}'])
def test_broken_track(content, zoo, capsys, tmp_path):
    p = zoo.raw('track.json', content.encode())
    code, err, out = talk(capsys, zoo, tmp_path, zoo.face, None, '--motion', p)
    check(code, err, out, 2)
    assert 'track.json' in err

def test_full_disk(zoo, capsys, tmp_path, monkeypatch):
    def full(*a, **kw): raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    monkeypatch.setattr(os, 'replace', full)
    code, err, out = talk(capsys, zoo, tmp_path, zoo.face, zoo.speech)
    check(code, err, out, 2)
    assert 'No space left' in err and 'free' in err

def test_ctrl_c_leaves_nothing(zoo, capsys, tmp_path):
    from lipsync_kit import lipsync
    def stop(p):
        if p.share > 0: raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt): lipsync(zoo.face, zoo.speech, out=tmp_path/'a.mp4', progress=stop)
    assert not list(tmp_path.iterdir())

def test_two_jobs_to_one_output(zoo, tmp_path):
    from lipsync_kit import lipsync
    out, errors = tmp_path/'same.mp4', []
    def job(seed):
        try: lipsync(zoo.face, zoo.speech, out=out, seed=seed)
        except Exception as e: errors.append(e)
    jobs = [threading.Thread(target=job, args=(i,)) for i in range(2)]
    [j.start() for j in jobs]; [j.join() for j in jobs]
    assert len(errors) < 2 and all('another job' in str(e) for e in errors)   # one came first, or they came one after the other
    assert [p.name for p in tmp_path.iterdir()] == ['same.mp4']
    with av.open(str(out)) as c: assert sum(1 for _ in c.decode(video=0)) == 13
