"Names as file systems allow them, and what a stopped job or a failed download leaves."
import os
from pathlib import Path
import numpy as np, pytest
from lipsync_kit.batch.run import making_place, rejected_name
from lipsync_kit.cli.main import run
from lipsync_kit.core import KitError, beside, replacing
from lipsync_kit.hub import download as fetch
from lipsync_kit.media.probe import probe
from lipsync_kit.media.resume import ResumableWriter
from lipsync_kit.media.write import Writer
from lipsync_kit.pipe.run import output_path

FRAME = np.zeros((32, 32, 3), np.uint8)
NAMES = ['a' * 251 + '.mp4', 'ж' * 125 + '.mp4', '日' * 83 + 'b.webm', '😀' * 62 + '.mkv', 'a b .mp4', ' a.mp4', '-o.mp4', 'a:b.mp4', 'ünï.mov', '%d.mp4',
         'x' * 250 + '.gif']

@pytest.mark.skipif(os.name == 'nt', reason='Windows allows less')
@pytest.mark.parametrize('name', NAMES, ids=range(len(NAMES)))
def test_names_that_a_file_may_have(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with ResumableWriter(Path(name), 32, 32, job='a job', seconds=1) as w:
        for _ in range(30): w.write(FRAME)
    assert [p.name for p in tmp_path.iterdir()] == [name] and probe(name).n_frames
    for path in (making_place(Path(name)), rejected_name(Path(name))): assert len(os.fsencode(path.name)) <= 255
    with Writer('b.mp4', 32, 32) as w: w.write(FRAME)
    with replacing(name) as tmp: tmp.write_bytes(b'1')
    assert Path(name).read_bytes() == b'1'

def test_long_names_stay_apart(tmp_path):
    a, b = (beside(tmp_path/('a' * 250 + end), '.', '.parts') for end in ('b.mp4', 'c.mp4'))
    assert a != b and a.name.endswith('.parts') and beside(tmp_path/'a.mp4', '.', '.parts').name == '.a.mp4.parts'

@pytest.mark.parametrize('name, word', [('a' * 300 + '.mp4', '304 bytes'), ('talk.mp4 ', 'ends in a space'), ('talk', 'what kind'), ('.mp4', 'what kind')])
def test_names_that_it_may_not_have(name, word):
    with pytest.raises(KitError, match=word): output_path(name)

@pytest.mark.parametrize('name', ['a' * 300 + '.png', 'a\0b.png'])
def test_input_that_can_not_be_named(name):
    with pytest.raises(KitError, match='can\'t be opened'): probe(name)

def stopped(tmp_path, n):
    with pytest.raises(KeyboardInterrupt) as e, ResumableWriter(tmp_path/'a.mp4', 32, 32, job='a job', seconds=1) as w:
        for _ in range(n): w.write(FRAME)
        raise KeyboardInterrupt
    return e.value.kept

def test_a_stopped_job_says_what_is_kept(tmp_path):
    assert 'nothing' in stopped(tmp_path, 20) and not list(tmp_path.iterdir())
    kept = stopped(tmp_path, 60)
    assert 'first 2 s' in kept and '.a.mp4.parts' in kept and 'the same command' in kept

def test_ctrl_c_tells_it(tmp_path, monkeypatch, capsys):
    def stop(*args, **kw):
        e = KeyboardInterrupt()
        e.kept = 'the first 10 s are kept'
        raise e
    monkeypatch.setattr('lipsync_kit.pipe.run.lipsync', stop)
    assert run(['talk', 'a.jpg', 'b.wav', '-q']) == 130 and 'the first 10 s are kept' in capsys.readouterr().err

@pytest.mark.parametrize('made', [False, True])
def test_a_failed_download_leaves_no_folder(tmp_path, monkeypatch, made):
    from huggingface_hub import constants
    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', True)
    folder = tmp_path/'deep'/'er'
    if made: folder.mkdir(parents=True)
    with pytest.raises(KitError, match='could not be downloaded'): fetch.download('wav2lip', folder)
    assert folder.exists() == made and not [p for p in tmp_path.rglob('*') if p not in (folder, folder.parent)]
    assert (tmp_path/'deep').exists() == made

def test_a_failed_download_keeps_what_has_arrived(tmp_path, monkeypatch):
    from huggingface_hub import constants
    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', True)
    part = tmp_path/'m'/'wav2lip'/'wav2lip.pth.part'
    part.parent.mkdir(parents=True)
    part.write_bytes(b'1234')
    with pytest.raises(KitError): fetch.download('wav2lip', tmp_path/'m')
    assert part.parent.exists()
