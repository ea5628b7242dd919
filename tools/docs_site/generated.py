"Pages that are made from the package itself: commands, Python, options, models, messages, the gallery"
import ast, os, re
from importlib import import_module
from pathlib import Path
from . import pages
from .loops import LOOPS
from .pages import cell, documented, fenced, table

def write_all(out:Path, links):

    made = {**commands(), 'reference/python.md': python(), 'reference/options.md': options(), 'reference/models.md': models(),
            'howto/messages.md': messages(), 'howto/which_model.md': which_model(), 'howto/gallery.md': gallery()}
    for place, text in made.items():
        file = out/place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(links.on(text, place))

# the command line, from its parser

def _command(name:str):
    "A command with all its flags, and its context"
    import typer
    from lipsync_kit.cli.main import build_app
    root = typer.main.get_command(build_app([name]))
    above = root.context_class(root, info_name='lipsync')
    return root.commands[name], root.context_class(root.commands[name], info_name=name, parent=above)

def _flags(command, ctx)->str:
    "Tables of its arguments and options, by the panels of its help"
    panels = {}
    for p in command.params:
        if getattr(p, 'hidden', False) or '--help' in p.opts or '--show-completion' in p.opts: continue
        argument = not p.opts[0].startswith('-')
        record = p.get_help_record(ctx) or (p.name, '')
        name = (p.metavar or p.name.upper()) if argument else ', '.join([*p.opts, *p.secondary_opts])
        kind = '' if argument else record[0].split()[-1] if record[0].split()[-1].isupper() else ''
        says = re.sub(r'\s+\[(?:default: )?(.*?)\]\s*$', r' [\1]', record[1] or '')
        panel = 'Arguments' if argument else getattr(p, 'rich_help_panel', None) or 'Options'
        panels.setdefault(panel, []).append((f'`{name}`' + (f' {kind.lower()}' if kind else ''), says))
    return '\n'.join(f'**{panel}**\n\n' + table(('flag' if panel != 'Arguments' else 'argument', 'what it does'), rows)
                     for panel, rows in panels.items())

def _example(command)->str: return (command.epilog or '').removeprefix('Example: ')

def _section(command, ctx, words:str, level:int)->str:
    "What a command does, how it is called, and its flags"
    usage = ' '.join([words, *command.collect_usage_pieces(ctx)])
    text = f"{'#' * level} {words}\n\n{command.help or ''}\n\n" + fenced('\n'.join(filter(None, [_example(command)])) or usage, 'sh')
    text += f'\nUsage: `{usage}`\n\n' + _flags(command, ctx)
    for name, sub in getattr(command, 'commands', {}).items():
        text += '\n' + _section(sub, ctx.__class__(sub, info_name=name, parent=ctx), f'{words} {name}', level + 1)
    return text

OPENING = '''# Command line

*Everything the package does, from a terminal*

`lipsync COMMAND --help` says the same. `--json` prints one JSON object for programs, `-q` no progress bar; a command that was
stopped goes on where it was when it is given again.
'''

def commands()->dict[str, str]:
    "The page of all commands, and one of each"
    from lipsync_kit.cli.main import COMMANDS, MAKE, MEASURE, SET_UP
    res, rows = {}, {}
    for name, (part, example) in COMMANDS.items():
        command, ctx = _command(name)
        place = f'reference/commands/{name}.md'
        rows.setdefault(part, []).append((f'[`{name}`]({name}.md)', command.help or '', f'`{example}`'))
        res[place] = _section(command, ctx, f'lipsync {name}', 1)
    index = OPENING
    for part in MAKE, MEASURE, SET_UP: index += f'\n## {part}\n\n' + table(('command', 'what it does', 'example'), rows[part])
    return {'reference/commands/index.md': index, **res}

# Python, options, models

def python()->str:
    "What `import lipsync_kit` offers"
    import lipsync_kit
    homes, order = lipsync_kit._HOMES, ('lipsync', 'plan', 'stream', 'process', 'evaluate', 'compare', 'speak', 'speech_to_motion',
                                        'verify', 'read_mark', 'Result', 'MotionTrack', 'Audio', 'Options', 'KitError')
    names = [*order, *(n for n in homes if n not in order)]
    rows = [(f'[`{n}`](#{n.lower()})', (getattr(lipsync_kit, n).__doc__ or '').split('\n')[0]) for n in names]
    text = '# Python\n\n*What can be imported from `lipsync_kit`*\n\n' + table(('name', 'what it does'), rows)
    text += '\nOptions that every model shares stand in [Options](options.md). Nothing heavy is imported before it is used.\n\n'
    for n in names:
        text += documented(getattr(lipsync_kit, n), 2, n) + f'\nDefined in [`{homes[n]}`](../{homes[n].replace(".", "/")}.md).\n\n'
    return text

def options()->str:
    "The options of all models, and those of each"
    from lipsync_kit.models.contract import model_cards
    from lipsync_kit.params import options_table
    from lipsync_kit.pipe.options import CHOSEN_BY, COMMON, model_settings
    text = '''# Options

*One name in Python, on the command line, in the app, in the widgets, in a batch table and in a file*

`emotion='happy'` in Python is `--emotion happy` on the command line, a column `emotion` in a batch table and a line
`emotion = "happy"` in a file that `lipsync config init` writes. `motion_model` is `--motion-model`. These tables are made from
the declarations.
'''
    groups = {}
    for s in COMMON.values(): groups.setdefault(s.group, []).append(s)
    for group, settings in groups.items(): text += f'\n## {group}\n\n{options_table(settings)}\n'
    text += f"\n## Choosing a model\n\nWith `model='auto'`.\n\n{options_table(CHOSEN_BY.values())}\n"
    done = {}
    for name in model_cards():
        if own := model_settings(name): done.setdefault(options_table(own.values()), []).append(name)
    for own, names in done.items(): text += f"\n## {', '.join(names)}\n\n{own}\n"
    return text

def _size(n:int)->str: return '-' if not n else f'{n / 1e9:.1f} GB' if n >= 1e9 else f'{n / 1e6:.0f} MB'

def _model_rows():
    from lipsync_kit.select.choose import this_machine
    from lipsync_kit.select.tables import comparison
    return comparison(this_machine())['models']

def models()->str:
    "The cards of the models that draw, and the files of the hub"
    from lipsync_kit.hub.cards import cards
    from lipsync_kit.models.contract import model_cards
    text = '# Models\n\n*The models that draw, and every file of the hub, from their cards*\n\n## Models that draw\n'
    rows = [(f'`{n}`', c.about, ', '.join(c.inputs), ', '.join(c.weights), f"`pip install 'lipsync_kit[{c.extra}]'`" if c.extra else '-')
            for n, c in model_cards().items()]
    text += '\n' + table(('model', 'what it is', 'takes', 'files', 'extra'), rows)
    text += '\n## Files\n\nHashes, sources and terms: `lipsync models info NAME`.\n'
    kinds = {}
    for c in cards(): kinds.setdefault(c.category, []).append(c)
    for kind in sorted(kinds):
        rows = [(f'`{c.name}`', c.what, c.size, c.licence, 'yes' if c.commercial else 'no') for c in kinds[kind]]
        text += f"\n### {kind.replace('_', ' ')}\n\n" + table(('name', 'what it is', 'size', 'licence', 'commercial use'), rows)
    return text

WISHES = (
    ('A photograph shall speak, now, on this machine', 'portrait', 'lipsync talk face.jpg --text "Hello"'),
    ('A video shall say something else', 'portrait', 'lipsync talk clip.mp4 speech.wav'),
    ('The head shall turn, seen from the side too', 'gaussian', 'lipsync talk face.jpg speech.wav --model gaussian'),
    ('One person, often, and there is film of that person', 'personal', 'lipsync avatar make me.mp4 -o me.avatar'),
    ('The mouth shall follow the sound as closely as can be; 96 pixels are enough', 'wav2lip', 'lipsync models download wav2lip'),
    ('A dub at 256 pixels on a GPU, live too', 'musetalk-1.5', 'lipsync models download musetalk-1.5'),
    ('The sharpest dub, and time does not matter', 'latentsync-1.6', 'lipsync models download latentsync-1.6'),
    ('A head moved by another video', 'liveportrait', 'lipsync animate me.jpg --driving clip.mp4'),
    ('A whole talking head with its own motion, on a GPU', 'vasa', 'lipsync models download JoyVASA'),
    ('A whole talking or singing head, drawn anew from one picture', 'emo', 'lipsync models download EchoMimic'),
    ('Commercial use', 'portrait', 'lipsync talk face.jpg speech.wav --policy commercial'),
    ('I do not know', 'auto', 'lipsync talk face.jpg speech.wav --model auto --quality best'),
)

def which_model()->str:
    "From a wish to a model, and what each can do"
    from lipsync_kit.models.contract import CAPABILITIES
    text = '''# Which model should I use?

*From what you want to the model, and what each model can do*

`portrait`, the default, needs no download and no GPU. `--model auto` chooses by what is asked for, what is on the machine and
what was measured there, and says why. What a model costs on *your* machine, and how good it was found to be there, is printed by
`lipsync models compare`; `lipsync bench me` measures it.

## By what you want

'''
    rows = [(wish, f'`{model}`', f'`{command}`') for wish, model, command in WISHES]
    text += table(('you want', 'model', 'begin with'), rows)
    can = [(f"`{r['model']}`", ', '.join(r['inputs']), ', '.join(r['driven_by']), f"{r['size']} px" if r['size'] else "the picture's own",
            ', '.join(CAPABILITIES[w] for w in r['capabilities']) or '-', _size(r['bytes']), 'yes' if r['commercial'] else 'no')
           for r in _model_rows()]
    text += '\n## What each can do\n\n' + table(('model', 'takes', 'driven by', 'draws', 'can', 'files', 'commercial use'), can)
    return text + '''
*Commercial use* is what the licences of the files in the card allow, not advice. Those of a whole job are checked by
`--policy commercial`, motion model and face basis included: it names what may not be used and what takes its place.

Published weights come from their owners; none is part of this package, and none of the published files was run where this was made.
Networks were checked on reference answers instead. The [tutorials](../tutorials/index.md) say for each model what was verified.
'''

# messages

def _text(node)->str|None:
    "The text of a message, `...` where a value stands"
    if isinstance(node, ast.Constant): return str(node.value)
    if isinstance(node, ast.JoinedStr): return ''.join(_text(v) or '' for v in node.values)
    if isinstance(node, ast.FormattedValue): return '...'
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add): return (_text(node.left) or '...') + (_text(node.right) or '...')
    if isinstance(node, ast.IfExp): return _text(node.body) or _text(node.orelse)
    return None

def found_messages()->dict[str, list[str]]:
    "Part of the package -> the messages of its errors, from the sources"
    res = {}
    for path in sorted(Path('lipsync_kit').rglob('*.py')):
        for x in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(x, ast.Call) and getattr(x.func, 'id', '') == 'KitError' and x.args): continue
            text = ' '.join((_text(x.args[0]) or '').split())
            if len(text.replace('...', '').strip()) < 12: continue
            res.setdefault(path.relative_to('lipsync_kit').parts[0].removesuffix('.py'), []).append(text)
    return {k: list(dict.fromkeys(v)) for k, v in res.items()}

PARTS = dict(pipe='Making a video', media='Files: pictures, videos, sound', faces='Faces', audio='Sound', speech='Voices, recognisers, chat',
             motion='Motion tracks and motion models', models='Models that draw', hub='Weights', effects='Effects', avatar='Avatars',
             batch='Batches', live='Live', train='Training', metrics='Measuring', trust='Marks and manifests', cli='The command line',
             params='Options', core='Sizes, times, names', widgets='Widgets in notebooks')

def messages()->str:
    "Every message of an error"
    text = '''# Every error message

*Search for the words of a message; `...` stands for your file, value or limit*

An error of this package is one sentence: the value, the limit and the remedy. What to do about the common ones is on
[Troubleshooting](troubleshooting.md). An error that is not in this list begins with `unexpected` and is our fault: run the command
again with `--debug`, and report what it prints.
'''
    found = found_messages()
    for part in [*PARTS, *(k for k in found if k not in PARTS)]:
        if part not in found: continue
        text += f'\n## {PARTS.get(part, part)}\n\n' + '\n'.join(f'- {_quoted(m)}' for m in found[part]) + '\n'
    return text

def _quoted(message:str)->str:
    "A message as Markdown that shows it as it is"
    parts = re.split(r'(`[^`]*`)', message)
    return ''.join(p if i % 2 else re.sub(r'([*_<>\[\]#|\\])', r'\\\1', p) for i, p in enumerate(parts))

# the gallery

def video(name:str, about:str, up:str='../')->str:
    return (f'<video src="{up}loops/{name}.mp4" poster="{up}loops/{name}.jpg" autoplay loop muted playsinline '
            f'aria-label="{about}"></video>')

def gallery()->str:
    "The moving pictures, each with the command that makes it"
    text = '''# Gallery

*Moving pictures, and the command behind each*

The photograph is Eileen Collins by NASA; it comes with the package. The officer is Grace Hopper, an official portrait by the US Navy
that comes with matplotlib. Both are in the public domain. Every picture is drawn on a CPU by a model
that needs no download. The loops are muted and small; the videos have sound, and the size that you ask for.
'''
    for l in LOOPS: text += f'\n## {l.title}\n\n{l.about}\n\n{video(l.name, l.about)}\n\n{fenced(l.command, "sh")}'
    return text
