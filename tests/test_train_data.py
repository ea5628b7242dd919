"A data set from films that the photo renderer makes of the bundled photograph: whole, restartable, nothing lost."
import errno, json, os, signal, tarfile
from pathlib import Path
import cv2, numpy as np, pytest
import lipsync_kit
from lipsync_kit.batch.workers import Local
from lipsync_kit.cli.main import run
from lipsync_kit.core import Audio, KitError
from lipsync_kit.media.probe import probe
from lipsync_kit.media.read import read_audio, read_frames, read_image
from lipsync_kit.media.write import Writer
from lipsync_kit.speech.tts import speak
from lipsync_kit.train import prepare as prepare_page
from lipsync_kit.train.manifest import load_manifest
from lipsync_kit.train.prepare import prepare
from lipsync_kit.train.shards import samples_in
from lipsync_kit.train.dataset import Clips
from lipsync_kit.train.windows import Windows
from test_avatar import filmed

pytest.importorskip('webdataset')
TEXT = 'How about an apple, a plum, or a wide open mouth? We saw many old friends there.'

@pytest.fixture(scope='module')
def photo(): return read_image(Path(lipsync_kit.__file__).parent/'data'/'astronaut.jpg').image[:330, 60:390]

@pytest.fixture(scope='module')
def film(tmp_path_factory, photo): return filmed(tmp_path_factory.mktemp('film')/'ann.mp4', speak(TEXT).audio, photo, fps=25, seconds=4)

def late(film, path, seconds):
    "The same film, its picture late"
    a, frames = read_audio(film), [f.image for f in read_frames(film)]
    n = round(seconds * 25)
    with Writer(path, *frames[0].shape[1::-1], 25, audio=a, crf=12) as w:
        for x in [frames[0]] * n + frames[:len(frames) - n]: w.write(x)
    return path

@pytest.fixture(scope='module')
def made(film, tmp_path_factory):
    folder = tmp_path_factory.mktemp('videos')
    (folder/'ann.mp4').write_bytes(film.read_bytes())
    late(film, folder/'late.mp4', .2)
    (folder/'broken.mp4').write_bytes(film.read_bytes()[:3000])
    clip = dict(licence='CC0', consent='a photograph')
    people = [dict(file='ann.mp4', person='Ann', **clip), dict(file='late.mp4', person='Lea', **clip), dict(file='broken.mp4', person='Bo')]
    (folder/'manifest.json').write_text(json.dumps(dict(clips=people)))
    return folder, prepare(folder, tmp_path_factory.mktemp('out')/'shards', size=128, sharp=0, seconds=1.5, licence='own')

def test_every_second_has_a_reason(made):
    folder, p = made
    ann, = [s for s in p.manifest['sources'] if s['name'] == 'ann']
    covered = sum(s['end'] - s['start'] for s in ann['stretches'])
    assert abs(covered - ann['seconds']) < .1 and all(s['reason'] for s in ann['stretches'])
    assert 'follows the sound' in ann['stretches'][0]['reason'] and p.manifest['people'] == dict(Ann='train', Lea='train')
    broken, = [s for s in p.manifest['sources'] if s['name'] == 'broken']
    assert broken['error'] and 'Traceback' not in broken['error']
    assert {c['licence'] for c in p.manifest['clips']} == {'CC0'} and {c['consent'] for c in p.manifest['clips']} == {'a photograph'}
    assert 'kept' in str(p) and 'train: ' in str(p)

def test_a_late_picture_is_found_and_corrected(made):
    lags = {s['name']: s['lag'] for s in made[1].manifest['sources']}
    assert abs(lags['late'] - lags['ann'] - .2) <= .04, lags

def test_webdataset_reads_it(made):
    out = made[1].folder
    found = [s for shard in load_manifest(out)['shards'] for s in samples_in(out/shard['file'])]
    facts = [json.loads(s['json']) for s in found]
    assert {f['person'] for f in facts} == {'Ann', 'Lea'} and all(f"{f['frames'] - 1:04d}.jpg" in s for f, s in zip(facts, found))

def test_windows_of_it(made):
    clips = Clips(made[1].folder)
    e = Windows(clips, 3, frames=5, parts=('frames', 'drive', 'sound', 'sync'))[1]
    assert e['frames'].shape == (5, 96, 96, 3) and np.isfinite(e['heard']).all() and e['mask'].mean() > .2

def test_torch_reads_windows_the_same_with_and_without_processes(made):
    import torch
    data = Windows(Clips(made[1].folder), 6)
    def read(n): return [b['frames'] for b in torch.utils.data.DataLoader(data, 2, num_workers=n)]
    assert all(torch.equal(a, b) for a, b in zip(read(0), read(1)))

def test_again_makes_nothing_and_more_adds(made, film, photo, tmp_path):
    folder, out = tmp_path/'v', tmp_path/'shards'
    folder.mkdir()
    (folder/'ann.mp4').write_bytes(film.read_bytes())
    how = dict(size=128, sharp=0, seconds=1.5)
    prepare(folder, out, **how)
    before = {p.name: p.stat().st_mtime_ns for p in out.glob('*.tar')}
    assert prepare(folder, out, **how).manifest['shards'] and {p.name: p.stat().st_mtime_ns for p in out.glob('*.tar')} == before
    filmed(folder/'second.mp4', speak('A very different sentence about boats, maps and apples.').audio, photo[:, ::-1], fps=25, seconds=4)
    filmed(folder/'copy.mp4', speak(TEXT).audio, photo, fps=25, seconds=4)      # the same speech again, coded again
    m = prepare(folder, out, **how).manifest
    assert {c['source'] for c in m['clips']} == {'ann', 'second'} and m['duplicates'] and len(m['shards']) == 2
    assert all((out/n).stat().st_mtime_ns == t for n, t in before.items())
    assert any('the same recording' in s['reason'] for x in m['sources'] for s in x['stretches'])

def full(*_, **__): raise OSError(errno.ENOSPC, 'No space left on device')

def test_a_full_disk_loses_nothing(film, tmp_path, monkeypatch):
    (tmp_path/'v').mkdir()
    (tmp_path/'v'/'ann.mp4').write_bytes(film.read_bytes())
    import webdataset
    with monkeypatch.context() as m:
        m.setattr(webdataset.TarWriter, 'write', full)
        with pytest.raises(KitError, match='free some space'): prepare(tmp_path/'v', tmp_path/'s', size=128, sharp=0)
    assert not list((tmp_path/'s').rglob('*.tar*')) and not (tmp_path/'s'/'manifest.json').exists()
    assert prepare(tmp_path/'v', tmp_path/'s', size=128, sharp=0).manifest['clips']

def test_a_full_disk_while_packing_keeps_what_was_prepared(film, tmp_path, monkeypatch):
    (tmp_path/'v').mkdir()
    (tmp_path/'v'/'ann.mp4').write_bytes(film.read_bytes())
    with monkeypatch.context() as m:
        m.setattr(prepare_page, 'packed', full)
        with pytest.raises(OSError): prepare(tmp_path/'v', tmp_path/'s', size=128, sharp=0)
    with monkeypatch.context() as m:
        m.setattr(prepare_page, 'prepare_source', lambda *a, **k: pytest.fail('prepared again'))
        assert prepare(tmp_path/'v', tmp_path/'s', size=128, sharp=0).manifest['clips']

def killing(job, mark):
    "A job whose process is killed the first time"
    def run(row):
        if not os.path.exists(mark):
            open(mark, 'w').close()
            os.kill(os.getpid(), signal.SIGKILL)
        return job(row)
    return run

def test_a_killed_worker_costs_one_try(film, tmp_path):
    (tmp_path/'v').mkdir()
    (tmp_path/'v'/'ann.mp4').write_bytes(film.read_bytes())
    def engine(job, n): return Local(killing(job, str(tmp_path/'mark')), n)
    assert prepare(tmp_path/'v', tmp_path/'s', engine, 1, size=128, sharp=0).manifest['clips'] and (tmp_path/'mark').exists()

def test_the_command_line(film, tmp_path, capsys):
    (tmp_path/'v').mkdir()
    (tmp_path/'v'/'ann.mp4').write_bytes(film.read_bytes())
    assert run(['prepare', str(tmp_path/'v'), '-o', str(tmp_path/'s'), '--size', '128', '--sharp', '0', '-q', '--json']) == 0
    assert json.loads(capsys.readouterr().out)['clips'][0]['consent'] == 'not stated'
    assert run(['prepare', str(tmp_path/'v'), '-o', str(tmp_path/'s'), '--size', '100']) == 2
