import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/** The documents of a YAML file, read by Python's yaml (Debian: python3-yaml). @throws Error when that cannot be run */
export async function readYaml(file: string): Promise<readonly unknown[]> {
  const { stdout } = await promisify(execFile)('python3', ['-c', toJson, file], { maxBuffer: 64 * 1024 * 1024 })
  return JSON.parse(stdout) as readonly unknown[]
}

const toJson = `import json, sys, yaml
with open(sys.argv[1], encoding='utf-8') as file:
    json.dump(list(yaml.safe_load_all(file)), sys.stdout, default=str)`
