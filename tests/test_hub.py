"The hub against a server of our own: downloads that break, lie, crowd and resume; one model per process; the command line"
import asyncio, hashlib, json, os, re, subprocess, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
import pytest
from lipsync_kit.hub import download as fetch, transfer
from lipsync_kit.hub import cards as hub
from lipsync_kit.cli.main import run
from lipsync_kit.core import KitError

BODY = b'\x80' + hashlib.sha256(b'weights').digest() * 40_000     # 1.3 MB that look like no text
SHA = hashlib.sha256(BODY).hexdigest()

class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def log_message(self, *_): pass
    def do_HEAD(self): self.answer(False)
    def do_GET(self):
        self.server.gets.append((self.path, self.headers.get('Range')))
        self.answer(True)

    def answer(self, body):
        how = self.path.split('/')[1]
        if how == 'html': return self.send(200, b'<!DOCTYPE html><html>please log in</html>', body, {'Content-Type': 'text/html'})
        if how == 'lfs': return self.send(200, b'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n', body)
        if how == 'json': return self.send(200, b'{"error": "no such model"}', body)
        if how == 'gone': return self.send(404, b'no', body)
        if how == 'busy' and len(self.server.gets) < 3: return self.send(503, b'later', body)
        if how == 'other': return self.send(200, BODY[:-1] + b'!', body)
        if how == 'long': return self.send(200, BODY + b'!', body)
        hf = {'ETag': f'"{SHA}"', 'X-Repo-Commit': '0' * 40, 'X-Linked-Size': str(len(BODY)), 'X-Linked-ETag': f'"{SHA}"'} if how == 'owner' else {}
        if how in ('tagged', 'deaf'): return self.versioned(body, how == 'deaf')
        start = int(r[6:-1]) if (r := self.headers.get('Range')) and how != 'norange' else 0
        if start >= len(BODY): return self.send(416, b'', body, {'Content-Range': f'bytes */{len(BODY)}'})
        more = {'Content-Range': f'bytes {start}-{len(BODY)-1}/{len(BODY)}'} if start else {}
        self.send(206 if start else 200, BODY[start:], body, {**hf, **more}, cut=400_000 if how == 'cut' else None, slow=how == 'slow')

    def versioned(self, body, deaf):
        "A file with a version, which `If-Range` must name; a deaf server does not know that header"
        data, version = self.server.data, self.server.version
        asked, condition = self.headers.get('Range'), self.headers.get('If-Range')
        self.server.conditions.append(condition)
        whole = not asked or (not deaf and condition not in (None, *version.values()))
        start = 0 if whole else int(asked[6:-1])
        more = {} if whole else {'Content-Range': f'bytes {start}-{len(data)-1}/{len(data)}'}
        self.send(200 if whole else 206, data[start:], body, {**version, **more})

    def send(self, status, data, body=True, headers={}, cut=None, slow=False):
        self.send_response(status)
        for k, v in {'Content-Length': str(len(data)), **headers}.items(): self.send_header(k, v)
        self.end_headers()
        if not body: return
        try:
            for i in range(0, len(data[:cut]), 1 << 16):
                self.wfile.write(data[:cut][i:i + (1 << 16)]); self.wfile.flush()
                if slow: time.sleep(.03)
        except OSError: pass               # the other side was killed
        if cut and cut < len(data): self.close_connection = True

@pytest.fixture
def server():
    with ThreadingHTTPServer(('127.0.0.1', 0), Handler) as s:
        s.data, s.version, s.conditions = BODY, {'ETag': '"one"'}, []
        s.daemon_threads, s.gets, s.url = True, [], f'http://127.0.0.1:{s.server_address[1]}'
        threading.Thread(target=s.serve_forever, args=(.02,), daemon=True).start()
        yield s
        s.shutdown()

@pytest.fixture
def toy(monkeypatch, tmp_path):
    "A function that puts a card of our own into the catalogue"
    monkeypatch.setattr(transfer, 'PAUSE', .01)
    monkeypatch.setenv('LIPSYNC_KIT_HOME', str(tmp_path/'home'))
    for k in 'HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'http_proxy', 'https_proxy', 'all_proxy': monkeypatch.delenv(k, raising=False)
    def make(*sources, name='toy', bytes=len(BODY), sha=SHA, **kw):
        f = hub.File(f'{name}.pth', bytes, sha, sources, about=len(BODY))
        monkeypatch.setitem(hub._cards(), name, hub.Card(name, 'audio', 'a toy', 'nobody', 'https://example.org', 'MIT', True, (f,), **kw))
        return tmp_path/'home'/name/f'{name}.pth'
    return make

def left(dest): return sorted(p.name for p in dest.parent.iterdir()) if dest.parent.exists() else []


# Downloads

def test_plain_download_reports_and_checks(server, toy):
    dest, seen = toy(f'{server.url}/file/toy.pth'), []
    assert fetch.download('toy', progress=lambda p: seen.append((p.share, p.stage))) == dest == hub.verify('toy') and dest.read_bytes() == BODY
    done = [d for d, _ in seen]
    assert done == sorted(done) and done[-1] == 1 and 'toy 1.3 MB of 1.3 MB' == seen[-1][1]
    assert left(dest) == ['toy.pth'] and fetch.download('toy') == dest and len(server.gets) == 1   # there already: no second request

LIES = dict(html='a web page', lfs='LFS pointer', json='JSON message', gone='404', long='bytes where', other='another file')

@pytest.mark.parametrize('how, why, known', [(h, w, k) for h, w in LIES.items() for k in (True, False) if k or h not in ('long', 'other')])   # only a size or hash tells these two
def test_what_is_not_the_file_is_refused(server, toy, how, why, known):
    dest = toy(f'{server.url}/{how}/toy.pth', bytes=len(BODY) if known and how != 'html' else None, sha=SHA if known else '')
    with pytest.raises(KitError, match=why) as e: fetch.download('toy')
    assert f'{server.url}/{how}/toy.pth' in str(e.value) and not dest.exists() and not hub.available('toy')

def test_sources_in_order_and_each_failure_is_named(server, toy):
    dest = toy(f'{server.url}/gone/a', f'{server.url}/html/a', 'pkg:no-such-wheel/a', 'file:/nowhere', 'ftp:x', f'{server.url}/file/a')
    assert fetch.download('toy').read_bytes() == BODY and [p for p, _ in server.gets] == ['/gone/a', '/html/a', '/file/a']
    toy(f'{server.url}/gone/a', 'pkg:no-such-wheel/a', 'file:/nowhere', 'ftp:x'); dest.unlink()
    with pytest.raises(KitError) as e: fetch.download('toy')
    for part in ('404', 'not installed', 'no such file', "no source is of the kind 'ftp'", str(dest.parent), 'https://example.org'): assert part in str(e.value)

def test_a_busy_server_is_asked_again(server, toy):
    toy(f'{server.url}/busy/a')
    assert fetch.download('toy').read_bytes() == BODY and len(server.gets) == 3

def test_a_cut_line_is_taken_up_where_it_broke(server, toy):
    toy(f'{server.url}/cut/a')
    assert fetch.download('toy').read_bytes() == BODY
    starts = [int(r[6:-1]) if r else 0 for _, r in server.gets]
    assert len(starts) == 4 and starts == sorted(set(starts))   # 400 kB an answer, none fetched twice

def test_a_server_without_ranges_starts_anew(server, toy):
    dest = toy(f'{server.url}/norange/a')
    dest.parent.mkdir(parents=True); (dest.parent/'toy.pth.part').write_bytes(b'\x80 the beginning of something else')
    assert fetch.download('toy').read_bytes() == BODY

def test_a_part_that_is_complete_wrong_or_too_long(server, toy):
    dest = toy(f'{server.url}/file/a'); part = dest.parent/'toy.pth.part'; dest.parent.mkdir(parents=True)
    part.write_bytes(BODY); assert fetch.download('toy') == dest and server.gets[0][1] == f'bytes={len(BODY)}-'
    dest.unlink(); part.write_bytes(b'\x81' * 1000); assert fetch.download('toy').read_bytes() == BODY    # the hash tells; once more from the start
    dest.unlink(); part.write_bytes(BODY * 2); assert fetch.download('toy').read_bytes() == BODY

# A file that changes between two attempts

OTHER = b'\x80' + hashlib.sha256(b'other').digest() * 40_000    # as long as BODY

def stop_early(p):
    if p.share > .3: raise KeyboardInterrupt

@pytest.mark.parametrize('version', [{'ETag': '"one"'}, {'Last-Modified': 'Mon, 06 Jan 2025 10:00:00 GMT', 'ETag': 'W/"weak"'}])
def test_a_download_goes_on_with_the_version_it_began_with(server, toy, version):
    server.version, dest = version, toy(f'{server.url}/tagged/a', bytes=None, sha='')
    with pytest.raises(KeyboardInterrupt): fetch.download('toy', progress=stop_early)
    assert left(dest) == ['toy.pth.part', 'toy.pth.part.version']
    assert fetch.download('toy').read_bytes() == BODY
    assert server.conditions == [None, version.get('Last-Modified', '"one"')] and server.gets[-1][1]   # resumed, on that condition
    assert left(dest) == ['toy.pth']

@pytest.mark.parametrize('how', ['tagged', 'deaf'])
def test_a_file_that_changed_is_downloaded_anew(server, toy, how):
    dest = toy(f'{server.url}/{how}/a', bytes=None, sha='')
    with pytest.raises(KeyboardInterrupt): fetch.download('toy', progress=stop_early)
    server.data, server.version = OTHER, {'ETag': '"two"'}
    assert fetch.download('toy').read_bytes() == OTHER and left(dest) == ['toy.pth']

def test_without_version_and_hash_nothing_is_joined(server, toy):
    server.version = {}
    dest = toy(f'{server.url}/tagged/a', bytes=None, sha='')
    with pytest.raises(KeyboardInterrupt): fetch.download('toy', progress=stop_early)
    server.data = OTHER
    assert fetch.download('toy').read_bytes() == OTHER and server.gets[-1][1] is None

def test_a_part_of_another_source_is_not_continued_without_a_hash(server, toy):
    dest = toy(f'{server.url}/tagged/a', bytes=None, sha='')
    with pytest.raises(KeyboardInterrupt): fetch.download('toy', progress=stop_early)
    server.data = OTHER
    toy(f'{server.url}/tagged/b', bytes=None, sha='')
    assert fetch.download('toy').read_bytes() == OTHER

def test_a_part_of_another_source_is_continued_with_a_hash(server, toy):
    dest = toy(f'{server.url}/tagged/a')
    with pytest.raises(KeyboardInterrupt): fetch.download('toy', progress=stop_early)
    toy(f'{server.url}/file/b')
    assert fetch.download('toy').read_bytes() == BODY and server.gets[-1][1] and left(dest) == ['toy.pth']


# Downloads that are killed or shared

DRIVER = '''
import sys
from pathlib import Path
from lipsync_kit.hub import download as fetch, transfer
from lipsync_kit.hub import cards as hub
url, sha, n, home = sys.argv[1:]
f = hub.File('toy.pth', int(n), sha, (url,))
hub._cards()['toy'] = hub.Card('toy', 'audio', 'a toy', 'nobody', 'nowhere', 'MIT', True, (f,))
print(fetch.download('toy', home), flush=True)
'''
def spawn(url, home): return subprocess.Popen([sys.executable, '-c', DRIVER, url, SHA, str(len(BODY)), str(home)], stdout=subprocess.PIPE, text=True)

def wait_for(what, seconds=300):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, 'it never came'
        time.sleep(.01)

def test_killed_while_downloading_it_resumes(server, toy):
    dest = toy(f'{server.url}/file/a'); part = dest.parent/'toy.pth.part'
    p = spawn(f'{server.url}/slow/a', dest.parent.parent)
    wait_for(lambda: part.exists() and part.stat().st_size > 0)
    p.kill(); p.wait(); p.stdout.close()
    have = part.stat().st_size
    assert 0 < have < len(BODY) and not dest.exists() and not hub.available('toy')
    assert fetch.download('toy').read_bytes() == BODY and server.gets[-1][1] == f'bytes={have}-'

def test_two_processes_fetch_once(server, toy):
    dest = toy()
    ps = [spawn(f'{server.url}/slow/a', dest.parent.parent) for _ in range(2)]
    assert [p.communicate(timeout=300)[0].strip() for p in ps] == [str(dest)] * 2
    assert len(server.gets) == 1 and dest.read_bytes() == BODY

def test_threads_fetch_once(server, toy):
    toy(f'{server.url}/slow/a'); got = []
    ts = [threading.Thread(target=lambda: got.append(fetch.download('toy'))) for _ in range(3)]
    [t.start() for t in ts]; [t.join() for t in ts]
    assert len(server.gets) == 1 and len(set(got)) == 1 and len(got) == 3

def test_stopping_keeps_what_has_arrived(server, toy):
    dest = toy(f'{server.url}/file/a')
    def stop(p):
        if p.share > .3: raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt): fetch.download('toy', progress=stop)
    assert left(dest) == ['toy.pth.part'] and (dest.parent/'toy.pth.part').stat().st_size > len(BODY) * .3
    assert fetch.download('toy').read_bytes() == BODY and server.gets[-1][1]

def test_a_full_disk_is_told_before_anything_moves(server, toy, monkeypatch):
    toy(f'{server.url}/file/a')
    monkeypatch.setattr(transfer.shutil, 'disk_usage', lambda p: SimpleNamespace(free=1000))
    with pytest.raises(KitError, match=r'needs 1.3 MB but only 1.0 kB are free.*LIPSYNC_KIT_HOME'): fetch.download('toy')
    assert not server.gets

def test_a_folder_that_cannot_be_written_to(server, toy, tmp_path):
    toy(f'{server.url}/file/a'); (tmp_path/'x').write_text('')
    for folder in tmp_path/'x', tmp_path/'x'/'y':
        with pytest.raises(KitError, match="can't write to .*--path or LIPSYNC_KIT_HOME"): fetch.download('toy', folder)

def test_a_disk_that_fills_on_the_way(server, toy, monkeypatch):
    toy(f'{server.url}/file/a', f'{server.url}/file/b')
    def full(*_): raise OSError(28, 'No space left on device')
    monkeypatch.setattr(transfer, '_once', full)
    with pytest.raises(KitError, match='the disk of .* is full'): fetch.download('toy')


# Hashes that nobody published

def test_the_first_download_is_recorded_and_later_ones_held_to_it(server, toy):
    dest = toy(f'{server.url}/file/a', bytes=None, sha='')
    fetch.download('toy')
    row = hub.records(dest.parent.parent)['toy/toy.pth']
    assert (row['sha256'], row['bytes'], row['source']) == (SHA, len(BODY), f'{server.url}/file/a') and hub.verify('toy') == dest
    dest.write_bytes(BODY[:-1] + b'!')
    with pytest.raises(KitError, match='the record of its first download'): hub.verify('toy')
    dest.write_bytes(BODY[:-1])
    with pytest.raises(KitError, match='1,280,000 bytes but toy.pth of toy has 1,280,001'): hub.find('toy')
    dest.unlink(); toy(f'{server.url}/other/a', bytes=None, sha='')
    with pytest.raises(KitError, match='the record of the first download says'): fetch.download('toy')
    assert not dest.exists()

def test_a_prefix_of_a_hash_is_enough_to_hold_to(server, toy):
    toy(f'{server.url}/file/a', bytes=None, sha=SHA[:10])
    assert hub.verify(fetch.download('toy').stem)
    toy(f'{server.url}/file/a', name='toy2', bytes=None, sha='0123456789')
    with pytest.raises(KitError, match='another file'): fetch.download('toy2')


# The Hugging Face hub, its cache, folders

def test_from_an_endpoint_like_the_hub(server, toy, monkeypatch):
    monkeypatch.setenv('HF_ENDPOINT', server.url)
    dest = toy('hf:owner/repo@v1/sub/toy.pth', bytes=None, sha='')
    part = dest.parent/'toy.pth.part'; dest.parent.mkdir(parents=True); part.write_bytes(BODY[:1000])
    assert fetch.download('toy').read_bytes() == BODY
    assert [g for g in server.gets if g[0][:7] == '/owner/'] == [('/owner/repo/resolve/v1/sub/toy.pth', 'bytes=1000-')]      # resumed, which the library's own download does not
    assert hub.records(dest.parent.parent)['toy/toy.pth']['sha256'] == SHA
    toy('hf:gone/repo/toy.pth'); dest.unlink()
    with pytest.raises(KitError, match='hf:gone/repo/toy.pth: .*404'): fetch.download('toy')

def test_the_commit_of_the_first_download_is_asked_for_again(server, toy, monkeypatch):
    monkeypatch.setenv('HF_ENDPOINT', server.url)
    dest = toy('hf:owner/repo/sub/toy.pth')
    fetch.download('toy')
    assert hub.records(dest.parent.parent)['toy/toy.pth']['revision'] == '0' * 40
    dest.unlink()
    fetch.download('toy')
    assert [g[0] for g in server.gets] == [f'/owner/repo/resolve/{r}/sub/toy.pth' for r in ('main', '0' * 40)]
    fetch.remove('toy', forget=True)
    fetch.download('toy')
    assert server.gets[-1][0] == '/owner/repo/resolve/main/sub/toy.pth'

def test_no_card_has_a_bare_pickle_and_what_is_not_verified_says_so(capsys):
    names = [f.name for c in hub.cards() for g in c.files for f in (g, *g.also)]
    # one is read by `hub.weights.read_arrays`, which rebuilds arrays and nothing else
    assert [n for n in names if n.endswith(('.pkl', '.pickle'))] == ['motion_template/motion_template.pkl']
    assert run(['models', 'info', 'EchoMimic']) == 0
    text = capsys.readouterr().out
    assert 'not verified' in text and 'not pinned to a commit' in text
    assert run(['models', 'info', 'sd-vae-ft-mse', '--json']) == 0
    row = json.loads(capsys.readouterr().out)
    assert row['verified'] and row['files'][0]['unpinned'] == []

def snapshot(root):
    d = root/'models--owner--repo'/'snapshots'/('0'*40)/'sub'
    d.mkdir(parents=True); (d/'toy.pth').write_bytes(BODY); refs = root/'models--owner--repo'/'refs'; refs.mkdir(); (refs/'main').write_text('0'*40)

def test_the_librarys_cache_and_its_offline_mode(server, toy, monkeypatch, tmp_path):
    from huggingface_hub import constants
    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', True); monkeypatch.setattr(constants, 'HF_HUB_CACHE', str(tmp_path/'cache'))
    monkeypatch.setenv('HF_ENDPOINT', server.url)
    toy('hf:owner/repo/sub/toy.pth')
    with pytest.raises(KitError, match='HF_HUB_OFFLINE is set'): fetch.download('toy')
    snapshot(tmp_path/'cache')
    assert fetch.download('toy').read_bytes() == BODY and not server.gets

@pytest.mark.parametrize('layout', ['file', 'flat', 'own', 'snapshot'])
def test_from_a_folder(toy, tmp_path, layout):
    far = tmp_path/'far'; far.mkdir()
    toy('hf:owner/repo/sub/toy.pth')
    if layout == 'snapshot': snapshot(far)
    else:
        p = far/dict(file='x.bin', flat='toy.pth', own='toy/toy.pth')[layout]; p.parent.mkdir(exist_ok=True); p.write_bytes(BODY)
    assert fetch.download('toy', source=f"file:{far/'x.bin' if layout == 'file' else far}").read_bytes() == BODY

def test_from_another_machines_folder(server, toy):
    toy('hf:gone/repo/toy.pth')
    assert fetch.download('toy', source=f'{server.url}/').exists() and server.gets[0][0] == '/toy/toy.pth'

@pytest.mark.parametrize('place', ['toy/toy.pth', 'toy.pth'])
def test_a_file_put_there_by_hand(server, toy, place):
    home = toy(f'{server.url}/file/a').parent.parent
    mine = home/place; mine.parent.mkdir(parents=True, exist_ok=True); mine.write_bytes(BODY)
    assert hub.find('toy') == hub.verify('toy') == fetch.download('toy') == mine and not server.gets
    mine.write_bytes(BODY[:-5])
    with pytest.raises(KitError, match='cut short.*lipsync models download toy'): hub.find('toy')
    assert fetch.download('toy').read_bytes() == BODY and hub.available('toy')    # a better one goes before it

def test_another_form_of_the_same_weights(toy, monkeypatch):
    home = toy().parent.parent
    c = hub.card('wav2lip_gan'); other = c.files[0].also[0]
    home.mkdir(parents=True); (home/other.name).write_bytes(b'')
    os.truncate(home/other.name, other.bytes)
    assert hub.find('wav2lip_gan') == home/other.name and not hub.available('wav2lip')


# One model per process

class Thing:
    def __init__(self, n): self.nbytes = n

@pytest.fixture
def models(monkeypatch):
    "A manager whose builders make things of ten bytes, and the list of what was built"
    from lipsync_kit.hub import memory as m
    made = []
    def build(path, device): made.append((path.name, device)); time.sleep(.03); return Thing(10)
    monkeypatch.setattr(m, 'BUILDERS', dict.fromkeys(['silero-vad', 'hama-asr', 'hibari-us', 'face_landmarker'], build))
    return m, made

def test_the_least_recently_used_goes_first(models):
    m, made = models
    with m.ModelManager(budget=25) as a:
        one = a.load('silero-vad', 'cpu'); a.load('hama-asr', 'cpu'); assert a.load('silero-vad', 'cpu') is one
        a.load('hibari-us', 'cpu')
        assert [n for n, _ in a.loaded()] == ['silero-vad', 'hibari-us'] and a.bytes == 20
        assert a.load('silero-vad', 'cpu', build=lambda *_: Thing(1)) is one and len(made) == 3
    assert a.loaded() == []

def test_what_is_held_stays(models):
    a = models[0].ModelManager(budget=5)
    with a.using('silero-vad', 'cpu') as one:
        with a.using('silero-vad', 'cpu') as two: assert one is two
        a.load('hama-asr', 'cpu'); a.cleanup()
        assert a.loaded() == [('silero-vad', 'cpu')]
    assert a.loaded() == []                         # over the budget as soon as nobody holds it

def test_the_budget_comes_from_the_environment(models, monkeypatch):
    a = models[0].ModelManager()
    monkeypatch.setenv('LIPSYNC_KIT_MEMORY', '.000012'); assert a.budget == 12
    a.load('silero-vad', 'cpu'); a.load('hama-asr', 'cpu'); assert a.loaded() == [('hama-asr', 'cpu')]
    monkeypatch.setenv('LIPSYNC_KIT_MEMORY', 'much')
    with pytest.raises(KitError, match='megabytes'): a.load('hibari-us', 'cpu')
    monkeypatch.delenv('LIPSYNC_KIT_MEMORY'); assert a.load('hibari-us', 'cpu')

def test_many_threads_under_a_tight_budget(models):
    m, made = models
    a, seen, wrong = m.ModelManager(budget=15), {}, []
    def work(i):
        name = ['silero-vad', 'hama-asr', 'hibari-us', 'face_landmarker'][i % 4]
        try:
            with a.using(name, 'cpu') as x:
                if a.load(name, 'cpu') is not x: wrong.append(name)
        except Exception as e: wrong.append(e)
    ts = [threading.Thread(target=work, args=(i,)) for i in range(24)]
    [t.start() for t in ts]; [t.join(300) for t in ts]
    assert not wrong and not any(t.is_alive() for t in ts) and a.bytes <= 15 and not a._loading

def test_an_error_reaches_all_who_wait_and_is_forgotten(models):
    a, tries, errors, gate, here = models[0].ModelManager(), [], [], threading.Event(), []
    def bad(path, device): tries.append(1); gate.wait(300); raise KitError('no good')
    def work():
        here.append(1)
        try: a.load('silero-vad', 'cpu', bad)
        except KitError as e: errors.append(str(e))
    ts = [threading.Thread(target=work) for _ in range(4)]
    [t.start() for t in ts]; wait_for(lambda: len(here) == 4 and tries); time.sleep(.3); gate.set(); [t.join() for t in ts]
    assert errors == ['no good'] * 4 and len(tries) == 1 and a.load('silero-vad', 'cpu').nbytes == 10

def test_async_code_awaits_and_others_run_meanwhile(models, monkeypatch):
    m, made = models
    ticking, left = threading.Event(), threading.Event()         # what a build waits for: the others, and that nobody waits any more
    def build(path, device, till):
        assert till.wait(300)
        made.append((path.name, device))
        return Thing(10)
    for name, till in ('silero-vad', ticking), ('hama-asr', left):
        monkeypatch.setitem(m.BUILDERS, name, lambda path, device, till=till: build(path, device, till))
    async def main():
        ticks = 0
        async def tick():
            nonlocal ticks
            while True:
                ticks += 1
                if ticks > 1: ticking.set()
                await asyncio.sleep(.005)
        t = asyncio.ensure_future(tick())
        async with m.ModelManager() as a:
            x, y = await asyncio.gather(a.get('silero-vad', 'cpu'), a.get('silero-vad', 'cpu'))
            assert x is y and len(made) == 1 and ticks > 1
            async with a.using('silero-vad', 'cpu') as z: assert z is x; a.cleanup(); assert a.loaded()
            held = asyncio.ensure_future(a.using('hama-asr', 'cpu').__aenter__()); await asyncio.sleep(.01); held.cancel()
            with pytest.raises(asyncio.CancelledError): await held
            left.set()
            while len(made) < 2: await asyncio.sleep(.01)
            for _ in range(30_000):                     # the thread that was asked goes on, and gives back what nobody took
                if not a._loading and not any(s.users for s in a._store.kept.values()): break
                await asyncio.sleep(.01)
        t.cancel()
        return a.loaded()
    assert asyncio.run(main()) == []

def test_ten_checkpoints_leave_one_in_memory(models, tmp_path):
    import gc, weakref
    m, alive = models[0], []
    a = m.ModelManager()
    def build(path, device): return Thing(10)
    for i in range(10):
        path = tmp_path/f'{i}.pth'; path.write_bytes(b'x')
        alive.append(weakref.ref(a.load(f'mine {i}', 'cpu', build, path)))
    gc.collect()
    assert sum(r() is not None for r in alive) == 1 and a.bytes == 10
    used = a.load('mine 9', 'cpu', build, tmp_path/'9.pth')
    a.load('mine 3', 'cpu', build, tmp_path/'3.pth')
    assert a.bytes == 20 and a.load('mine 9', 'cpu', build, tmp_path/'9.pth') is used   # in use: counted, and found again

def test_what_an_owner_uses_stays(models):
    a = models[0].ModelManager(budget=15)
    class Owner: pass
    owner = Owner()
    a.keep_while(owner, a.load('silero-vad', 'cpu'))
    a.load('hama-asr', 'cpu'); a.load('hibari-us', 'cpu')
    assert ('silero-vad', 'cpu') in a.loaded() and len(models[1]) == 3
    del owner
    a.load('hama-asr', 'cpu')
    assert ('silero-vad', 'cpu') not in a.loaded() and a.bytes <= 15

def test_a_network_weighs_its_parameters_and_buffers(models):
    import torch
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    assert models[0].memory_size(net) == 4 * (12 + 4 + 4 + 4 + 4 + 4) + 8

def test_manager_and_hub_bring_no_torch():
    code = "import sys, lipsync_kit.hub.memory, lipsync_kit.hub.download, lipsync_kit.cli.main; print([m for m in ('torch', 'cv2', 'huggingface_hub', 'httpx', 'rich.table') if m in sys.modules])"
    assert subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout.strip() == '[]'


# The command line

def lines(capsys): return capsys.readouterr().out.splitlines()

def test_the_list_fits_80_columns_and_a_program(toy, capsys):
    assert run(['models', 'list']) == 0
    rows = [l for l in lines(capsys) if not l.startswith('here:')]      # that line has the folder's path
    assert max(map(len, rows)) <= 80 and not any('\x1b' in r or '…' in r for r in rows)
    row = next(r for r in rows if 'wav2lip_gan' in r).split()
    assert row == ['wav2lip_gan', '435.8', 'MB', 'research', 'only', 'no', '-']
    assert next(r for r in rows if 'face_landmarker' in r).split()[-2:] == ['yes', 'package']
    assert run(['models', 'list', '--json', '-c', 'face_detection']) == 0
    found = {r['name']: r for r in json.loads(capsys.readouterr().out)['models']}
    assert set(found) == {'buffalo_l', 'face_landmarker', 'mtcnn', 's3fd', 'sfd_face', 'yunet'} and found['s3fd']['state'] == 'absent' and found['s3fd']['replacement'] == 'face_landmarker'

def test_every_published_file_of_the_plan_has_its_card():
    want = '''wav2lip wav2lip_gan lrs3-wav2lip lrs3-nota-wav2lip s3fd sfd_face lipsync_expert visual_quality_disc syncnet_v2 face_landmarker buffalo_l inswapper_128 GFPGANv1.4
        RealESRGAN_x2plus musetalk-1.0 musetalk-1.5 sd-vae-ft-mse whisper-tiny latentsync-1.5 latentsync-1.6 EchoMimic LivePortrait JoyVASA'''.split()
    assert not set(want) - {c.name for c in hub.cards()}

def test_from_download_to_removal(server, toy, capsys, tmp_path):
    dest = toy(f'{server.url}/file/a'); toy(f'{server.url}/file/b', name='big', needs=('toy',))
    assert run(['models', 'download', 'big', '-q']) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[1] == f'toy: {dest}' and 'toy: 1.3 MB, licence MIT' in err and len(server.gets) == 2
    assert run(['models', 'verify', 'toy', 'big']) == 0 and all(l.startswith('ok') for l in lines(capsys))
    assert run(['models', 'info', 'toy']) == 0 and any('whole:' in l for l in lines(capsys))
    dest.write_bytes(BODY[:-1] + b'!')
    assert run(['models', 'verify']) == 1 and [l for l in lines(capsys) if l.startswith('FAIL')][0].split()[1] == 'toy'
    dest.write_bytes(BODY[:-1]); assert run(['models', 'list']) == 0
    rows = lines(capsys); assert 'broken' in next(r for r in rows if ' toy ' in r) and 'cut short' in rows[-1]
    assert run(['models', 'du', '--json']) == 0
    du = json.loads(capsys.readouterr().out)
    assert du['sets']['full: every model']['models'] == len(hub.cards()) and du['bytes'] >= 2 * len(BODY) - 1
    assert run(['models', 'remove', 'toy', 'big']) == 0 and lines(capsys) == ['toy: 1.3 MB freed', 'big: 1.3 MB freed']
    assert not dest.parent.exists() and run(['models', 'remove', 'toy']) == 2 and 'no file of toy' in capsys.readouterr().err

def test_what_went_wrong_is_one_message(server, toy, capsys, tmp_path):
    toy(f'{server.url}/gone/a'); toy(f'{server.url}/file/b', name='good')
    assert run(['models', 'download', 'toy', 'good', '--path', str(tmp_path/'x')]) == 2
    out, err = capsys.readouterr()
    assert out.strip() == f"good: {tmp_path/'x'/'good'/'good.pth'}" and '404 Not Found' in err       # one failure does not stop the rest
    for args, why in ((['download'], '--category or --all'), (['download', 'x', '--all'], '--category or --all'), (['info', 'wav2lp'], "did you mean 'wav2lip'"),
                      (['remove', 'silero-vad'], 'inside the package'), (['list', '-c', 'audi'], "did you mean 'audio'")):
        assert run(['models', *args]) == 2 and why in capsys.readouterr().err
    assert run(['models']) == 0 and 'download' in capsys.readouterr().out
    assert run(['models', 'verify', 's3fd']) == 1 and 'lipsync models download s3fd' in capsys.readouterr().out

def test_one_category_from_a_folder(toy, capsys, tmp_path, monkeypatch):
    far = tmp_path/'far'; toy(name='a'); monkeypatch.setattr(hub, '_cards', lambda c={'a': hub.card('a')}: c)
    (far/'a').mkdir(parents=True); (far/'a'/'a.pth').write_bytes(BODY)
    assert run(['models', 'download', '-c', 'audio', '--from', f'file:{far}', '--path', str(tmp_path/'near')]) == 0
    out, err = capsys.readouterr()
    assert 'LIPSYNC_KIT_HOME' in err and run(['models', 'download', '--all', '--path', str(tmp_path/'near')]) == 0

def test_a_full_disk_is_told_for_all_at_once(toy, monkeypatch, capsys):
    toy(); monkeypatch.setattr(transfer.shutil, 'disk_usage', lambda p: SimpleNamespace(free=10**9))
    assert run(['models', 'download', '--category', 'diffusion']) == 2
    needs = re.search(r'this needs ([\d.]+) GB but only 1.00 GB', capsys.readouterr().err)     # what they need themselves too, such as the whispers
    assert float(needs[1]) > sum(c.bytes for c in hub.cards('diffusion')) / 1e9 > 20

def test_doctor_asks_only_for_what_the_default_work_needs(toy):
    from lipsync_kit.doctor import check_models
    assert {c.name for c in check_models()} >= {c.name for c in hub.cards() if c.bundled} and all(c.ok for c in check_models())
