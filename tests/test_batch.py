"Batches: bad rows, dying workers, killed and stopped batches; whatever happens to one item, the others are made."
import json, os, signal, subprocess, sys, time
from pathlib import Path
import numpy as np, pytest
from PIL import Image
import lipsync_kit
from lipsync_kit.cli import main as cli
from lipsync_kit.core import KitError
from lipsync_kit.batch.run import StatusFile, run_batch

def fake_job(row):
    "In place of `do_job`: what the text says happens, on the first attempt or on each"
    out, said = Path(row['out']), row.get('text', '')
    tries = out.with_suffix('.tries'); tries.write_text(tries.read_text() + '|' if tries.exists() else '|')
    first = len(tries.read_text()) == 1
    if said == 'kill' or said == 'kill once' and first: os.kill(os.getpid(), signal.SIGKILL)
    if said == 'exit': os._exit(3)
    if said == 'flaky' and first: raise RuntimeError('the machine was busy\nsecond line')
    if said == 'broken': raise RuntimeError('always so')
    if said == 'refused': raise KitError('no face was found')
    if said == 'hang' or said == 'hang once' and first:
        out.with_suffix('.hangs').write_text(str(os.getpid()))
        while True: time.sleep(.05)
    out.write_text(f'{os.getpid()}')
    return dict(status='done')

@pytest.fixture
def table(tmp_path):
    "Writes a table in which every row has a face that exists"
    (tmp_path/'a.jpg').touch()
    def write(*texts):
        (tmp_path/'jobs.csv').write_text('face,text,out\n' + ''.join(f'a.jpg,{t},{i}.mp4\n' for i, t in enumerate(texts, 1)))
        return tmp_path/'jobs.csv'
    return write

def statuses(summary): return [i.status for i in summary.items]

def lines(path): return [json.loads(l) for l in Path(path).read_text().splitlines()]

def alive(pid):
    try: state = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0]
    except OSError: return False
    return state != 'Z'

def until(true, seconds=300):
    "Wait for something that will come"
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, 'it did not come'
        time.sleep(.02)

@pytest.mark.parametrize('workers', [1, 2])
def test_one_item_never_stops_the_rest(table, workers):
    said = []
    s = run_batch(table('fine', 'kill', 'kill once', 'exit', 'flaky', 'broken', 'refused', 'fine'), job=fake_job, workers=workers, progress=lambda p: said.append((p.share, p.stage)))
    assert statuses(s) == ['done', 'failed', 'done', 'failed', 'done', 'failed', 'failed', 'done']
    assert [i.attempts for i in s.items] == [1, 2, 2, 2, 2, 2, 1, 1]
    words = {i.row: i.message for i in s.failures}
    assert 'SIGKILL' in words[2] and 'memory' in words[2] and 'exit code 3' in words[4] and words[6] == 'RuntimeError: always so' and words[7] == 'no face was found'
    assert sorted(d['row'] for d in lines(s.status_file)) == list(range(1, 9))
    assert said[-1] == (1., '8 of 8, 4 not done') and not s.ok

def test_retries_can_be_none(table):
    s = run_batch(table('flaky', 'fine'), job=fake_job, retries=0)
    assert statuses(s) == ['failed', 'done'] and s.items[0].message == 'RuntimeError: the machine was busy second line'

def test_an_item_that_hangs_is_ended(table):
    s = run_batch(table('hang once', 'hang', 'fine'), job=fake_job, workers=2, limit=3)
    assert statuses(s) == ['done', 'failed', 'done'] and 'limit of 3 s' in s.items[1].message and s.items[1].attempts == 2

def test_a_worker_stays_over_jobs(table):
    s = run_batch(table(*['fine'] * 5), job=fake_job)
    assert len({Path(i.out).read_text() for i in s.items}) == 1

def test_done_is_skipped_until_something_changed(table, tmp_path):
    first = run_batch(table('fine', 'flaky', 'broken', 'fine'), job=fake_job)
    assert statuses(run_batch(table('fine', 'flaky', 'broken', 'fine'), job=fake_job)) == ['skipped', 'skipped', 'failed', 'skipped']
    (tmp_path/'1.mp4').unlink()                                                      # an output is gone
    assert statuses(run_batch(table('fine', 'flaky', 'fine', 'Fine'), job=fake_job)) == ['done', 'skipped', 'done', 'done']
    os.utime(tmp_path/'a.jpg', ns=(1, 1))                                            # an input is another
    assert statuses(run_batch(table('fine', 'flaky', 'fine', 'Fine'), job=fake_job)) == ['done'] * 4
    assert len(lines(first.status_file)) == 4 + 1 + 3 + 4                            # what is skipped is not written again

def test_rows_that_are_wrong(tmp_path):
    (tmp_path/'a.jpg').touch()
    (tmp_path/'jobs.jsonl').write_text('\n'.join([
        '{"face": "a.jpg", "text": "fine"}', '{"face": "a.jpg", "text": "fine", "out": "talks/a_1.mp4"}', '{"face": "b.jpg"}', 'nonsense',
        '{"face": "a.jpg", "seed": "x"}', '{"face": "a.jpg", "colour": 1}', '{"face": "a.jpg", "text": "fine", "audio": "a.jpg"}', '{"face": "a.jpg", "out": "a.jpg"}',
        '{"face": "a.jpg", "text": "fine", "seed": 3}']))
    s = run_batch(tmp_path/'jobs.jsonl', job=fake_job)
    assert statuses(s) == ['done'] + ['bad'] * 7 + ['done'] and Path(s.items[8].out).name == 'a_9.mp4'
    for i, words in zip(s.items[1:8], ('row 1 does', 'no file', 'line 4', 'a whole number', "'colour'", 'audio and text', 'which row 1 reads')): assert words in i.message, i

def test_mistakes_in_the_call(table, tmp_path):
    jobs = table('fine')
    for wrong, words in ((dict(engine='locl'), 'local'), (dict(workers=0), '1 or more'), (dict(gate='nothing'), 'module:function'), (dict(gate='json:nothing'), 'no function'), (dict(limit=-1), 'above 0')):
        with pytest.raises(KitError, match=words): run_batch(jobs, job=fake_job, **wrong)
    with StatusFile(tmp_path/'s.jsonl'), pytest.raises(KitError, match='another batch'): StatusFile(tmp_path/'s.jsonl')
    assert not (tmp_path/'talks').exists()

class Unwelcome:
    "Can be sent, but not received"
    def __call__(self, row): return {}
    def __reduce__(self): return int, ('not a number',)

def test_workers_that_never_come_up_are_an_error(table):
    with pytest.raises(KitError, match='no worker process comes up.*ValueError'): run_batch(table('fine', 'fine'), job=Unwelcome())

SCRIPT = '''
from lipsync_kit import pipe
import lipsync_kit
from lipsync_kit.cli import main as cli
import lipsync_kit.batch.run as batch, signal, sys
if __name__ == '__main__':
    signal.signal(signal.SIGINT, signal.default_int_handler)      # a test run in the background hands down that it is ignored
    from test_batch import fake_job
    whole = batch.run_batch
    batch.run_batch = lambda *a, **kw: whole(*a, **kw, job=fake_job)
    sys.exit(cli.run(['batch', sys.argv[1], '-w', '2']))
'''

def begin(jobs):
    "A batch in a process of its own, until its first row is done and its second hangs; the process and the hanging worker"
    (jobs.parent/'go.py').write_text(SCRIPT)
    env = {**os.environ, 'PYTHONPATH': os.pathsep.join([str(Path(lipsync_kit.__file__).parents[1]), str(Path(__file__).parent)])}
    p = subprocess.Popen([sys.executable, str(jobs.parent/'go.py'), str(jobs)], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    status, hangs = jobs.parent/'talks'/'jobs.status.jsonl', jobs.parent/'2.hangs'
    until(lambda: p.poll() is not None or status.exists() and status.read_text().count('\n') == 2 and hangs.exists() and hangs.read_text())
    assert p.poll() is None, p.communicate()
    return p, int(hangs.read_text())

def test_a_killed_batch_goes_on(table, tmp_path):
    p, worker = begin(table('fine', 'hang', 'fine'))
    p.kill(); p.communicate()
    until(lambda: not alive(worker))                                # the worker does not go on alone
    with open(tmp_path/'talks'/'jobs.status.jsonl', 'a') as f: f.write('{"row": 2, "status": "do')
    (tmp_path/'2.mp4').write_text('not by us')
    s = run_batch(table('fine', 'fine', 'fine'), job=fake_job)
    assert statuses(s) == ['skipped', 'done', 'skipped']

def test_ctrl_c_keeps_what_is_done(table, tmp_path):
    p, worker = begin(table('fine', 'hang', 'fine'))
    os.killpg(p.pid, signal.SIGINT)                                 # as a terminal does: to all of them
    out, err = p.communicate(timeout=300)
    assert p.returncode == 130 and 'goes on from there' in err and 'Traceback' not in err
    assert not alive(worker) and sorted(d['row'] for d in lines(tmp_path/'talks'/'jobs.status.jsonl')) == [1, 3]

def test_progress_can_stop_it(table):
    class Enough(Exception): pass
    def progress(p):
        if p.share > .3: raise Enough
    with pytest.raises(Enough): run_batch(table('fine', 'fine', 'fine'), job=fake_job, progress=progress)
    assert 'skipped' in statuses(run_batch(table('fine', 'fine', 'fine'), job=fake_job))

# From here on videos are really made

GATE = 'def enough(r): return None if r.seconds > .5 else f"only {r.seconds:.2f} s"\ndef breaks(r): raise RuntimeError("the gate is broken")\n'

@pytest.fixture
def clips(tmp_path, monkeypatch):
    "A table of a good, a short and a faceless clip, and a file that is none; and a module with gates"
    from skimage import data
    Image.fromarray(data.astronaut()[:256, 96:352]).resize((128, 128)).save(tmp_path/'ann.jpg')
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(tmp_path/'noise.png')
    (tmp_path/'broken.mp4').write_bytes(b'hello ' * 99)
    (tmp_path/'batch_gate.py').write_text(GATE)
    monkeypatch.chdir(tmp_path); monkeypatch.setattr(sys, 'path', [*sys.path])
    (tmp_path/'jobs.csv').write_text('face,text,motion_model,idle,fps\nann.jpg,Hello you out there.,rules,no,12.5\nnoise.png,Hi,rules,,\nbroken.mp4,Hi,rules,,\nann.jpg,A,rules,,12\n')
    return tmp_path/'jobs.csv'

def batch(capsys, *args):
    capsys.readouterr()
    code = cli.run(['batch', *map(str, args), '--json'])
    return code, json.loads(capsys.readouterr().out)

def test_real_videos_and_a_gate(clips, tmp_path, capsys):
    code, s = batch(capsys, clips, '--gate', 'batch_gate:enough')
    assert code == 1 and s['counts'] == dict(done=1, rejected=1, failed=2) and not s['ok'], s
    assert [(f['row'], f['attempts']) for f in s['failures']] == [(2, 1), (3, 1), (4, 1)]
    assert 'no face' in s['failures'][0]['message'] and 'broken.mp4' in s['failures'][1]['message'] and 'only 0.' in s['failures'][2]['message']
    assert sorted(p.name for p in (tmp_path/'talks').iterdir()) == ['ann_1.mp4', 'ann_4.rejected.mp4', 'jobs.status.jsonl']
    assert [d['video']['n_frames'] > 5 for d in lines(s['status_file']) if d['status'] == 'done'] == [True]
    clips.write_text('\n'.join(clips.read_text().splitlines()[:2]))
    code, s = batch(capsys, clips, '--gate', 'batch_gate:enough')
    assert code == 0 and s['counts'] == dict(skipped=1), s

def test_a_gate_that_breaks_fails_its_item(clips, tmp_path, capsys):
    clips.write_text('\n'.join(clips.read_text().splitlines()[:2]))
    code, s = batch(capsys, clips, '--gate', 'batch_gate:breaks', '--retries', '0')
    assert code == 1 and s['counts'] == dict(failed=1) and 'the gate is broken' in s['failures'][0]['message']
    assert [p.name for p in (tmp_path/'talks').iterdir()] == ['jobs.status.jsonl']

# The same on a Ray cluster of this machine

@pytest.fixture(scope='module')
def cluster():
    ray = pytest.importorskip('ray', reason="Ray is not installed: pip install 'lipsync_kit[ray]'")
    os.environ['RAY_USAGE_STATS_ENABLED'] = '0'
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level='ERROR')
    yield ray
    ray.shutdown()

def test_ray_does_the_same(cluster, table):
    s = run_batch(table('fine', 'kill once', 'kill', 'flaky', 'refused', 'hang once', 'fine'), job=fake_job, engine='ray', workers=2, limit=10)
    assert statuses(s) == ['done', 'done', 'failed', 'done', 'failed', 'done', 'done'], s
    assert [i.attempts for i in s.items] == [1, 2, 2, 2, 1, 2, 1] and s.items[4].message == 'no face was found'

def test_ray_makes_the_same_video(cluster, clips, tmp_path):
    clips.write_text('\n'.join(clips.read_text().splitlines()[:2]))
    videos = [Path(run_batch(clips, tmp_path/e, engine=e, gate=lambda r: None if r.seconds > .5 else 'short').items[0].out).read_bytes() for e in ('ray', 'local')]
    assert videos[0] == videos[1]
