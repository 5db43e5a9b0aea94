const HOME = String.raw`(?:/root|/home/[^/]+)`

/**
 * What every image writes outside a workspace and nobody misses. Counted and told with its reason, never hidden; the same
 * table is in docs/operating.md. Whatever is not in it, or was not named with --discard, refuses a receipt.
 */
const NOISE: readonly (readonly [pattern: RegExp, reason: string])[] = [
  [/^\/tmp\//, 'temporary files'],
  [/^\/(?:var\/)?run\//, 'state of running programs'],
  [/^\/var\/log\//, 'logs of the system'],
  [/^\/boot\//, 'what the image starts with'],
  [
    /^\/var\/(?:cache\/(?:apt|debconf|fontconfig|ldconfig|man)|lib\/(?:apt|dpkg|systemd|ucf))\//,
    'lists and caches of the package manager',
  ],
  [/^\/var\/lib\/(?:cloud|dbus|dhcp|NetworkManager|private)\//, 'state of this very machine'],
  [/\/__pycache__\/[^/]+\.pyc$/, 'bytecode that Python makes again'],
  [
    /^\/(?:\.dockerenv|etc\/(?:hostname|hosts|ld\.so\.cache|machine-id|mtab|resolv\.conf))$/,
    'written for each new container',
  ],
  [
    /^\/etc\/(?:\.pwd\.lock|(?:group|gshadow|passwd|shadow|subgid|subuid)-?)$/,
    'accounts that image and vendor set up',
  ],
  [
    /^\/(?:\.launch|\.provisioning|(?:pre_|post_)?start\.sh|etc\/(?:environment|portal\.yaml|rp_environment)|(?:etc\/(?:ssh|runpod|vast[^/]*)|opt\/(?:instance-tools|runpod|vast[^/]*)|runpod|var\/lib\/vast[^/]*)(?:\/.*)?)$/s,
    'what the vendor puts in to reach the box',
  ],
  [
    new RegExp(
      String.raw`^${HOME}/(?:\.ssh/(?:authorized_keys2?|environment|known_hosts(?:\.old)?|rc)|\.launch|\.no_auto_tmux|\.vast[^/]*|onstart\.sh|hasbooted|ports\.log)$`,
    ),
    'what the vendor puts in to reach the box',
  ],
  [
    new RegExp(
      String.raw`^${HOME}/\.(?:bash_history|lesshst|python_history|viminfo|wget-hsts|zsh_history)$`,
    ),
    'history of shells',
  ],
  [new RegExp(String.raw`^${HOME}/\.cache/(?:pip|uv)/`), 'caches of package installers'],
  [new RegExp(String.raw`^${HOME}/\.nv/`), 'compiled kernels that the driver makes again'],
  [new RegExp(String.raw`^${HOME}/\.cache/dumont/`), "dumont's own worker and journals"],
]

/** Why a changed file may be lost; undefined when it may not. The path is Latin-1 text. */
export function noiseReason(place: string): string | undefined {
  return NOISE.find(([pattern]) => pattern.test(place))?.[1]
}
