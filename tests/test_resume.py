"A job that was killed goes on, and nothing shows where parts were joined."
import json, os, signal, subprocess, sys, tracemalloc
from fractions import Fraction
from pathlib import Path
import av, cv2, numpy as np, pytest
from lipsync_kit.core import Audio, KitError, as_fps
from lipsync_kit.media.write import Writer
from lipsync_kit.media.read import read_audio, read_frames
from lipsync_kit.media.resume import ResumableWriter

NOISE = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)
SCENE = cv2.resize(NOISE, (640, 480), interpolation=cv2.INTER_CUBIC)
SUFFIXES = '.mp4', '.mov', '.mkv', '.webm'
SIZE = W, H = 96, 64

def scene(i): return np.ascontiguousarray(SCENE[(2*i) % 400:, (3*i) % 500:][:H, :W])

def times(fps, n):
    "When frames come; without `fps` at uneven times, with a hole longer than a part"
    if fps: return [i / as_fps(fps) for i in range(n)]
    gaps = np.random.default_rng(1).integers(17, 70, n - 1)
    gaps[n // 2] = 2300
    return [Fraction(int(t), 1000) for t in (0, *gaps.cumsum())]

def packets(path, kind='video'):
    with av.open(str(path)) as c:
        s = getattr(c.streams, kind)[0]
        return [(p.pts * p.time_base, p.dts, p.duration, bytes(p)) for p in c.demux(s) if p.size]

def head(path):
    "What a file says of itself"
    with av.open(str(path)) as c:
        v = c.streams.video[0]
        k = v.codec_context
        return dict(step=v.time_base, start=v.start_time, length=v.duration, all=c.duration, fps=v.average_rate,
                    base=v.base_rate, tags=dict(c.metadata), stream=dict(v.metadata), profile=k.profile,
                    colour=(k.color_primaries, k.color_trc, k.colorspace, k.color_range), sar=v.sample_aspect_ratio,
                    frames=v.frames, extra=k.extradata)

def tone(seconds, rate=16000): return Audio(.1*np.sin(np.arange(int(seconds*rate))/20), rate)

def write(path, ts, W=ResumableWriter, draw=scene, **options):
    with W(path, *SIZE, **options) as w:
        for i, t in enumerate(ts): w.write(draw(i), t)
    return w

def kept(folder): return sorted(p.name for p in folder.iterdir())

@pytest.mark.parametrize('fps', [25, '30000/1001', 60, None])
@pytest.mark.parametrize('suffix', SUFFIXES)
def test_joined_is_as_if_written_at_once(tmp_path, suffix, fps):
    ts = times(fps, 130)
    tags = dict(comment='hi', model='m')
    options = dict(fps=fps or 25, variable=fps is None, audio=tone(float(ts[-1])), metadata=tags)
    one = write(tmp_path/f'one{suffix}', ts, Writer, **options)
    many = write(tmp_path/f'many{suffix}', ts, seconds=1, **options)
    assert many.n == one.n == 130 and many.last_time == one.last_time and len(many.parts) > 2
    assert head(many.path) == head(one.path)
    a, b = packets(one.path), packets(many.path)
    assert [p[1:3] for p in a] == [p[1:3] for p in b] and sorted(p[0] for p in a) == sorted(p[0] for p in b)
    dts = [p[1] for p in b if p[1] is not None]
    assert all(x < y for x, y in zip(dts, dts[1:])) and min(p[0] for p in b) == 0
    if suffix != '.webm': assert any(p[0] < q[0] for q, p in zip(b, b[1:]))   # frames are reordered
    if suffix in ('.mp4', '.mov'): assert sorted(p[0] for p in b) == [one.step * round(t / one.step) for t in ts]
    assert [p[3] for p in packets(one.path, 'audio')] == [p[3] for p in packets(many.path, 'audio')]
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([one.path.name, many.path.name])

def boxes(path):
    "The names of the outer boxes of an MP4 or MOV"
    data, at, names = path.read_bytes(), 0, []
    while at < len(data):
        names.append(data[at+4:at+8].decode())
        at += int.from_bytes(data[at:at+4], 'big') or len(data)
    return names

@pytest.mark.parametrize('suffix', ['.mp4', '.mov'])
def test_a_player_can_begin_before_all_is_there(tmp_path, suffix):
    names = boxes(write(tmp_path/f'a{suffix}', times(25, 60), seconds=1, audio=tone(2.4)).path)
    assert names.index('moov') < names.index('mdat')

@pytest.mark.parametrize('suffix', SUFFIXES)
def test_frames_are_those_of_the_parts(tmp_path, monkeypatch, suffix):
    ts, shown = times('30000/1001', 100), []
    finish = ResumableWriter._join
    def look(w):
        shown.extend(f.image for p in w.parts for f in read_frames(w.folder/p.name))
        finish(w)
    monkeypatch.setattr(ResumableWriter, '_join', look)
    write(tmp_path/f'a{suffix}', ts, fps='30000/1001', seconds=1)
    got = list(read_frames(tmp_path/f'a{suffix}'))
    assert len(got) == len(shown) == 100 and all(np.array_equal(f.image, x) for f, x in zip(got, shown))
    assert all(abs(f.time - t) <= Fraction(1, 2000) for f, t in zip(got, ts))

@pytest.mark.parametrize('suffix', SUFFIXES)
@pytest.mark.parametrize('variable', [False, True])
def test_single_frames_in_a_part(tmp_path, suffix, variable):
    ts = [Fraction(t) for t in (0, 1, 2, '2.04', '2.08', '2.12', '2.16', 5)]
    w = write(tmp_path/f'a{suffix}', ts, seconds=1, variable=variable)
    assert [p.n for p in w.parts] == [1, 1, 5, 1]
    assert [f.time for f in read_frames(w.path)] == ts
    dts = [p[1] for p in packets(w.path) if p[1] is not None]
    assert all(x < y for x, y in zip(dts, dts[1:]))

def test_frames_that_come_too_close_keep_their_order(tmp_path):
    ts = [Fraction(i, 50) for i in range(150)]   # twice as many as 25 a second have room
    w = write(tmp_path/'a.mp4', ts, seconds=1)
    assert w.n == 150 and [f.time for f in read_frames(w.path)] == [Fraction(i, 25) for i in range(150)]

def test_copied_sound_stays_as_it_is(tmp_path):
    write(tmp_path/'src.mp4', times(25, 75), Writer, audio=tone(3, 48000))
    write(tmp_path/'a.mp4', times(25, 75), audio=tmp_path/'src.mp4', seconds=1)
    assert packets(tmp_path/'src.mp4', 'audio') == packets(tmp_path/'a.mp4', 'audio')

def lit(path, near):
    "Moments of the brightest frame and the loudest sample within half a second of `near`"
    flash = max((f for f in read_frames(path) if abs(f.time - near) < .5), key=lambda f: f.image.mean()).time
    a = read_audio(path)
    lo = int((near - .5) * a.rate)
    loud = np.abs(a.samples[lo:lo + a.rate])
    return float(flash), (lo + int(np.argmax(loud > .5 * loud.max()))) / a.rate

@pytest.mark.parametrize('suffix', SUFFIXES)
@pytest.mark.parametrize('fps', [25, '30000/1001'])
def test_sound_and_picture_are_together_at_the_end(tmp_path, suffix, fps):
    n = int(8 * as_fps(fps))
    ts = times(fps, n)
    at = n - 15
    samples = np.zeros(8 * 48000, np.float32)
    samples[round(ts[at] * 48000):][:48] = .9
    draw = lambda i: np.full((H, W, 3), 235 if i == at else 20, np.uint8)
    write(tmp_path/f'a{suffix}', ts, draw=draw, fps=fps, audio=Audio(samples, 48000), seconds=1)
    flash, click = lit(tmp_path/f'a{suffix}', float(ts[at]))
    assert abs(flash - float(ts[at])) < .001 and abs(click - flash) < 1 / float(as_fps(fps))

JOB = '''
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from test_resume import *
path, stop, n = Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
drawn = 0
with ResumableWriter(path, *SIZE, audio=tone(n/25), metadata=dict(comment='x'), job='the job', seconds=1) as w:
    for i in range(n):
        if i / 25 < w.done: continue
        if i == stop: os.kill(os.getpid(), signal.SIGKILL)
        w.write(scene(i), Fraction(i, 25)); drawn += 1
print(drawn)
'''

def run(path, stop=-1, n=150):
    command = [sys.executable, '-c', JOB, str(Path(__file__).parent), str(path), str(stop), str(n)]
    return subprocess.run(command, capture_output=True, text=True)

@pytest.mark.skipif(os.name == 'nt', reason='no SIGKILL')
@pytest.mark.parametrize('suffix', ['.mp4', '.webm'])
def test_killed_and_run_again(tmp_path, suffix):
    out, folder = tmp_path/f'a{suffix}', tmp_path/f'.a{suffix}.parts'
    assert run(out, stop=90).returncode == -signal.SIGKILL and not out.exists()
    assert json.loads((folder/'parts.json').read_text())['parts'][-1][0] == '00002.mp4'
    again = run(out)
    assert again.stdout.strip() == '75', again.stderr       # 3 of 6 seconds were there
    whole = run(tmp_path/f'b{suffix}')
    assert whole.stdout.strip() == '150', whole.stderr
    for kind in 'video', 'audio': assert packets(out, kind) == packets(tmp_path/f'b{suffix}', kind)
    if suffix == '.mp4': assert out.read_bytes() == (tmp_path/'b.mp4').read_bytes()
    assert not folder.exists() and sorted(p.name for p in tmp_path.iterdir()) == sorted([out.name, f'b{suffix}'])

class Stop(Exception): pass

def stopped(path, at=90, job='the job', **options):
    with pytest.raises(Stop), ResumableWriter(path, *SIZE, job=job, seconds=1, **options) as w:
        for i in range(at): w.write(scene(i), Fraction(i, 25))
        raise Stop
    return w.folder

def test_finished_parts_are_not_touched(tmp_path):
    folder = stopped(tmp_path/'a.mp4')
    before = {p.name: p.stat().st_mtime_ns for p in folder.glob('0*.mp4')}
    assert len(before) == 3
    stopped(tmp_path/'a.mp4', at=130)
    assert {k: v for k, v in ((p.name, p.stat().st_mtime_ns) for p in folder.glob('0*.mp4')) if k in before} == before
    assert kept(folder) == [*(f'0000{i}.mp4' for i in range(5)), 'lock', 'parts.json']

def test_frames_before_done_are_passed_over(tmp_path):
    stopped(tmp_path/'a.mp4')
    w = write(tmp_path/'a.mp4', times(25, 100), job='the job', seconds=1)
    assert w.done == 3 and w.n == 100 and w.last_time == Fraction(99, 25)
    assert [f.time for f in read_frames(w.path)] == times(25, 100)
    stopped(tmp_path/'b.mp4')
    w = write(tmp_path/'b.mp4', [None] * 100, job='the job', seconds=1)
    assert w.path.read_bytes() == (tmp_path/'a.mp4').read_bytes()

def test_killed_while_joining(tmp_path, monkeypatch):
    def full(*args, **kw): raise KitError('no space left')
    with monkeypatch.context() as m:
        m.setattr('lipsync_kit.media.resume.join', full)
        with pytest.raises(KitError, match='no space'): write(tmp_path/'a.mp4', times(25, 60), job='j', seconds=1)
    assert not (tmp_path/'a.mp4').exists()
    with ResumableWriter(tmp_path/'a.mp4', *SIZE, job='j', seconds=1) as w: assert w.done == 3 and w.n == 60
    assert w.last_time == Fraction(59, 25) and len(list(read_frames(w.path))) == 60

@pytest.mark.parametrize('options', [dict(job='another'), dict(job=''), dict(crf=20), dict(fps=30),
                                     dict(preset='fast')])
def test_another_job_begins_anew(tmp_path, options):
    stopped(tmp_path/'a.mp4')
    with ResumableWriter(tmp_path/'a.mp4', *SIZE, **(dict(job='the job') | options), seconds=1) as w:
        assert w.done == 0 and w.n == 0 and kept(w.folder) == ['lock', 'parts.json']
        w.write(scene(0), 0)
    assert w.n == 1

@pytest.mark.parametrize('spoil', [
    lambda p: p.write_bytes(p.read_bytes()[:-100]),
    lambda p: p.unlink(),
    lambda p: p.write_bytes(p.read_bytes()[:500] + b'x' + p.read_bytes()[501:])])
def test_a_damaged_part_is_drawn_again(tmp_path, spoil):
    whole = write(tmp_path/'b.mp4', times(25, 100), seconds=1)
    folder = stopped(tmp_path/'a.mp4')
    spoil(folder/'00001.mp4')
    w = write(tmp_path/'a.mp4', times(25, 100), job='the job', seconds=1)
    assert w.done == 1 and w.path.read_bytes() == whole.path.read_bytes()

@pytest.mark.parametrize('text', ['', '{"job": 3}', '[]', '{"job": "x", "parts": [[1]]}'])
def test_a_damaged_list_begins_anew(tmp_path, text):
    (stopped(tmp_path/'a.mp4')/'parts.json').write_text(text)
    assert write(tmp_path/'a.mp4', times(25, 30), job='the job', seconds=1).done == 0

def test_a_short_job_leaves_nothing_behind(tmp_path):
    folder = stopped(tmp_path/'a.mp4', at=20)
    assert not folder.exists() and not list(tmp_path.iterdir())

def test_two_at_once(tmp_path):
    with ResumableWriter(tmp_path/'a.mp4', *SIZE, job='j') as w:
        with pytest.raises(KitError, match='being written by another job'):
            with ResumableWriter(tmp_path/'a.mp4', *SIZE, job='j'): pass
        again = run(tmp_path/'a.mp4')
        assert again.returncode and 'being written by another job' in again.stderr
        with ResumableWriter(tmp_path/'b.mp4', *SIZE, job='j') as v: v.write(scene(0), 0)
        w.write(scene(0), 0)
    assert len(list(read_frames(tmp_path/'a.mp4'))) == 1

@pytest.mark.parametrize('kw,what', [
    (dict(crf=99), 'crf'), (dict(seconds=0), 'longer than 0'), (dict(audio='none.wav'), 'there is no file')])
def test_mistakes_are_said_at_once(tmp_path, kw, what):
    with pytest.raises(KitError, match=what):
        with ResumableWriter(tmp_path/'a.mp4', *SIZE, **kw): pass
    assert not list(tmp_path.iterdir())

def test_more_mistakes(tmp_path):
    write(tmp_path/'mute.mp4', times(25, 3), Writer)
    cases = (tmp_path, None, 'end its name'), (tmp_path/'a.mp4', tmp_path/'mute.mp4', 'has no sound')
    for path, audio, what in cases:
        with pytest.raises(KitError, match=what):
            with ResumableWriter(path, *SIZE, audio=audio): pass
    with pytest.raises(KitError, match='frame 1 is 64x64'), ResumableWriter(tmp_path/'a.mp4', *SIZE) as w:
        w.write(scene(0))
        w.write(scene(0)[:, :64])
    assert kept(tmp_path) == ['mute.mp4']

def test_joining_holds_little(tmp_path):
    "Memory of Python's own while three times as many parts are joined; packets live outside it"
    from lipsync_kit.media.join import join
    part = write(tmp_path/'p.mp4', times(25, 100), Writer).path
    def peak(n):
        tracemalloc.start()
        join([(part, Fraction(4*i)) for i in range(n)], tmp_path/'a.mp4')
        m = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return m
    peak(1)
    assert peak(12) < 1.2 * peak(4)
    assert len(packets(tmp_path/'a.mp4')) == 400
