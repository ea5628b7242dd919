"What the site is made of: moving pictures that are small and silent, commands that the parser knows, nothing from another host"
import json, re, shlex, sys
from pathlib import Path
import pytest

ROOT = Path(__file__).parent.parent
SITE = ROOT/'tools'/'docs_site'
sys.path.insert(0, str(ROOT/'tools'))
from docs_site.loops import LOOPS

@pytest.mark.parametrize('loop', LOOPS, ids=lambda l: l.name)
def test_a_loop_is_small_silent_and_marked(loop):
    from lipsync_kit import read_mark
    from lipsync_kit.media.probe import probe
    path = SITE/'static'/'loops'/f'{loop.name}.mp4'
    clip = probe(path)
    assert path.stat().st_size < 300_000 and not clip.audio and 1 < clip.duration < 8
    assert 'AI-generated' in read_mark(path)['comment'] and path.with_suffix('.jpg').stat().st_size < 80_000

def texts():
    "Every page of prose: name and Markdown"
    for nb in sorted((ROOT/'nbs').rglob('*.ipynb')):
        cells = json.loads(nb.read_text())['cells']
        yield nb.stem, '\n'.join(''.join(c['source']) for c in cells if c['cell_type'] == 'markdown')
    for page in sorted((SITE/'static').rglob('*.md')): yield page.stem, page.read_text()
    yield 'loops', '\n'.join(f'```sh\n{l.command}\n```' for l in LOOPS)
    yield 'generated', (SITE/'generated.py').read_text()

def commands()->dict[str, str]:
    "A command of the pages -> the page; from blocks of shell, and from code in a line where it has arguments"
    found = {}
    for name, text in texts():
        blocks = re.findall(r'```sh\n(.*?)```', text, re.S)
        lines = [l for b in blocks for l in b.splitlines()] + [l for l in re.findall(r'`(lipsync [a-z]+ [^`\n]+)`', text) if ' -' in l or '.' in l]
        lines += re.findall(r"'(lipsync (?:talk|models|avatar|animate) [^'\n]+)'", text)
        for l in lines:
            for part in re.split(r'#|;|&&', l.split(' #')[0]):
                if part.strip().startswith('lipsync ') and not re.search(r'[{…]|\.\.\.|NAME|COMMAND|FILE', part): found[part.strip()] = name
    return found

def test_the_parser_knows_every_command_of_the_pages():
    import typer
    from lipsync_kit.cli.main import build_app
    wrong, found = [], commands()
    for line, page in found.items():
        words = shlex.split(line)[1:]
        try:
            command = typer.main.get_command(build_app(words))
            above = command.make_context('lipsync', list(words), resilient_parsing=False)
            rest = [*above._protected_args, *above.args] if hasattr(above, '_protected_args') else list(above.args)
            while hasattr(command, 'commands'):
                name, command, rest = command.resolve_command(above, rest)
                above = command.make_context(name, list(rest), parent=above)
                rest = [*getattr(above, '_protected_args', ()), *above.args]
        except Exception as e:      # asking for help is no fault
            if 'NoArgs' not in type(e).__name__ and getattr(e, 'exit_code', 1): wrong.append(f'{page}: {line}: {getattr(e, "message", e)}')
    assert len(found) > 100 and not wrong, '\n'.join(wrong)

def test_nothing_of_the_site_comes_from_another_host():
    for p in [*(SITE/'static').rglob('*.css'), *(SITE/'static').rglob('*.js')]:
        assert not re.search(r'https?://', p.read_text()), p.name
    assert 'font: false' in (ROOT/'mkdocs.yml').read_text()
