"Writes demos/space/, the folder of a Hugging Face Space, from settings.ini, constraints.txt and the texts here."
import re
from argparse import ArgumentParser
from configparser import ConfigParser
from pathlib import Path

OUT = Path('demos/space')
CARD = '''---
title: Talking portraits
emoji: 👄
colorFrom: indigo
colorTo: gray
sdk: gradio
sdk_version: {gradio}
python_version: "3.11"
app_file: app.py
license: apache-2.0
short_description: A photograph and a sentence become a talking head
---

# {title}

{description}. It runs on the free CPU hardware: no GPU, no download of weights.

Videos made here are marked as AI-generated. Use only faces and voices of people who agreed to it.

This folder is made by `make space` in [{title}]({git_url}); change it there.
'''
APP = '''"The app of lipsync_kit as a Space. Made by `make space`."
import os
from lipsync_kit.app import serve

if __name__ == '__main__': serve(host='0.0.0.0', port=int(os.environ.get('GRADIO_SERVER_PORT', 7860)))
'''
PACKAGES = ['libgl1', 'libegl1', 'libgles2', 'libglib2.0-0']   # what mediapipe and OpenCV open

def facts():
    ini = ConfigParser(delimiters=['='], interpolation=None)
    ini.read('settings.ini', encoding='utf-8')
    return ini['DEFAULT']

def pins():
    "Package (as normalised by PyPI) -> its line in constraints.txt"
    lines = Path('constraints.txt').read_text().split()
    return {re.sub(r'[-_.]+', '-', l.split('==')[0]).lower(): l for l in lines}

def requirements(cfg, pinned):
    "The package at its tag, and what it needs directly, pinned"
    needs = (cfg['requirements'] + '\n' + cfg['whisper_requirements']).splitlines()
    names = [re.sub(r'[-_.]+', '-', re.split(r'[<>=!~; \[]', l.strip())[0]).lower() for l in needs if l.strip()]
    own = f"lipsync_kit[whisper] @ git+{cfg['git_url']}@v{cfg['version']}"
    return [own, *sorted(pinned[n] for n in names if n != 'tomli')]

def build(out=OUT):
    cfg, pinned = facts(), pins()
    out.mkdir(parents=True, exist_ok=True)
    version = pinned['gradio'].split('==')[1]
    texts = {'README.md': CARD.format(gradio=version, title=cfg['title'], description=cfg['description'], git_url=cfg['git_url']),
             'requirements.txt': '\n'.join(requirements(cfg, pinned)) + '\n', 'packages.txt': '\n'.join(PACKAGES) + '\n', 'app.py': APP}
    for name, text in texts.items(): (out/name).write_text(text, encoding='utf-8')

if __name__ == '__main__':
    parser = ArgumentParser(description=__doc__)
    parser.add_argument('folder', nargs='?', type=Path, default=OUT, help='where it is built')
    build(parser.parse_args().folder)
