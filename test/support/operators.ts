/** Who signs in to the dashboard of a test, all by `operatorPassword`: ada may do all, rita only looks. */
export const operatorPassword = 'analytical engine'

const hash =
  '$6$rounds=1000$sluicedash$QVacHZIyqlvdILAVmAduCwUmUlo/rJf9i/uqFt70nO0ax43orJ9HVTshYJBdTIkWfJ5nUW87w/NUDzO1IJs8T/'

/** A file for `table operators file:...`. */
export const operatorsFile = `ada admin:${hash}\nrita reader:${hash}\n`
