import { schoolOf, teach } from '../../shared/classifier/teach.ts'
import { createOperations } from '../../shared/operate/operations.ts'
import type { OperationParts, Operations } from '../../shared/operate/operations.ts'
import { createSpoolLessons } from '../../shared/operate/spool-lessons.ts'
import type { ServiceContext } from '../../shared/service.ts'
import { exitCodes } from './command.ts'
import type { Invocation } from './command.ts'
import { messageFiles, withSystem } from './connect.ts'
import type { Place } from './connect.ts'

export function withOperations(
  invocation: Invocation,
  use: (operations: Operations) => Promise<number>,
): Promise<number> {
  return withSystem(invocation, (context, place) => use(createOperations(operationParts(context, place))))
}

export function operationParts(context: ServiceContext, place: Place): OperationParts {
  const { configuration, dataFolder } = context
  const messages = messageFiles(place)
  const school = schoolOf(configuration)
  const lessons = createSpoolLessons({
    messages,
    teach: (content, lesson) => teach(dataFolder, content, lesson, school),
  })
  return { ...context, messages, lessons, loginsAnywhere: true, delimiter: () => configuration.subAddressDelimiter }
}

export function done({ terminal, options }: Invocation, facts: object, text: string): number {
  terminal.print(options.has('json') ? JSON.stringify(facts) : text)
  return exitCodes.done
}
