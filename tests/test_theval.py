"The rows of THEval against a measuring tool of its own, and all our scores after every codec"
import importlib.util
from pathlib import Path
from types import SimpleNamespace
import av, numpy as np, pytest
from lipsync_kit.media.read import read_audio
from lipsync_kit.metrics.clip import View
from lipsync_kit.metrics.evaluate import evaluate
from lipsync_kit.metrics.metric import METRICS
from lipsync_kit.metrics.theval import ROWS, headline

SHARED = Path(__file__).parents[2]/'shared'
TOOL, CLIPS = SHARED/'tools'/'theval_lite.py', SHARED/'media'/'clips'
NAMES = dict(zip(ROWS, ('lips', 'head', 'brows', 'silent', 'sync')))

def tool():
    spec = importlib.util.spec_from_file_location('theval_lite', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

def rows_of(path):
    "Our rows of the pixels that the tool sees: its decoder is a grey level darker, which moves landmarks of small faces"
    rows = {n: METRICS[n]() for n in ROWS}
    with av.open(str(path)) as c:
        for f in c.decode(video=0):
            view = View(float(f.pts * f.time_base), np.ascontiguousarray(f.to_ndarray(format='rgb24')))
            for r in rows.values(): r.see(view)
    clip = SimpleNamespace(audio=read_audio(path))
    return {n: r.value(clip).value for n, r in rows.items()}

@pytest.mark.parametrize('name', ['grid_bbaf2n.mpg', 'portrait_kiosk_woman.mp4', 'hdtf_radio13.mp4'])
def test_rows_are_those_of_the_tool(name):
    if not TOOL.is_file() or not (CLIPS/name).is_file(): pytest.skip('the shared measuring tool and clips are not here')
    theirs = tool()
    wanted, got = theirs.measure(CLIPS/name, theirs.landmarker(), most=10**6), rows_of(CLIPS/name)
    for n, k in NAMES.items():
        if np.isnan(wanted[k]): assert got[n] is None
        else: assert abs(got[n] - wanted[k]) < .01, (n, got[n], wanted[k])

# Codecs

SCORES = 'mouth_sync', 'mouth_learned', *ROWS
CODINGS = {'h264-aac': ('libx264', 'aac', '20'), 'h265-aac': ('libx265', 'aac', '24'), 'h264-mp3': ('libx264', 'libmp3lame', '20'),
           'h265-mp3': ('libx265', 'libmp3lame', '24')}

def coded(source, out, video, audio, crf):
    "A clip in another coding, as a web site makes it"
    sound, fps = [], None
    with av.open(str(source)) as a, av.open(str(out), 'w') as b:
        fps = a.streams.video[0].average_rate
        v, s = b.add_stream(video, rate=fps, options=dict(crf=crf, preset='fast')), b.add_stream(audio, rate=44100, layout='stereo')
        v.width, v.height, v.pix_fmt, s.bit_rate = a.streams.video[0].width, a.streams.video[0].height, 'yuv420p', 128_000
        to_sound = av.AudioResampler(s.format.name if s.format else 'fltp', 'stereo', 44100)
        for frame in a.decode(a.streams.video[0], a.streams.audio[0]):
            if isinstance(frame, av.VideoFrame):
                frame.pict_type = 0
                b.mux(v.encode(frame))
            else:
                for g in to_sound.resample(frame): b.mux(s.encode(g))
        for g in to_sound.resample(None): b.mux(s.encode(g))
        b.mux(v.encode(None)); b.mux(s.encode(None))
    return out

def scores(path, names, real=None):
    values = {n: v.value for n, v in evaluate(path, metrics=list(names)).values.items() if v.value is not None}
    return values | dict(headline=headline(values, real or values).score)

def moved(source, folder, coding, names):
    first = scores(source, names)
    again = scores(coded(source, folder/f'{coding}.mp4', *CODINGS[coding]), names, first)
    unit = dict(head_dynamics=first.get('head_dynamics', 1.))      # degrees: as a share of what it was
    return {n: abs(again[n] - first[n]) / unit.get(n, 1.) for n in first}

@pytest.fixture(scope='module')
def talking(tmp_path_factory):
    "A synthetic face that says a sentence, coded finely; its head and brows are still"
    from lipsync_kit.metrics.synthetic import talking_face
    from lipsync_kit.speech.tts import speak
    path = tmp_path_factory.mktemp('codec')/'talk.mp4'
    talking_face(path, speak('Maybe we should move the big blue boat, before the river gets too high.').audio, size=256)
    return path

@pytest.mark.parametrize('coding', CODINGS)
def test_scores_of_the_mouth_do_not_depend_on_the_codec(talking, tmp_path, coding):
    by = moved(talking, tmp_path, coding, ('mouth_sync', 'mouth_learned', 'lip_dynamics', 'lip_loudness'))
    assert {'mouth_sync', 'lip_dynamics', 'lip_loudness'} <= set(by) and max(by.values()) <= .05, by

@pytest.mark.parametrize('coding', CODINGS)
def test_scores_of_a_real_clip_do_not_depend_on_the_codec(tmp_path, coding):
    source = CLIPS/'hdtf_radio13.mp4'
    if not source.is_file(): pytest.skip('the shared clips are not here')
    by = moved(source, tmp_path, coding, SCORES)
    by.pop('headline')           # moves by more where a clip has little silence: a small number is divided by another
    assert set(SCORES) <= set(by) and max(by.values()) <= .05, by
